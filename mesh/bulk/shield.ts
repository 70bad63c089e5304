/** Run a callback of the caller's; what it throws is its own affair and surfaces as an uncaught exception, not as a broken channel. */
export function shield(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
