/**
 * Copy all of `source` to `target`, from byte `at` on; the caller has checked that it fits. `TypedArray.set` falls back to a slow loop
 * where either side is shared memory; this is one `memmove` in any case.
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, at: number): void {
  Buffer.prototype.copy.call(source, target, at)
}

/**
 * Free a buffer that nobody else holds, without waiting for the garbage collector: at hundreds of megabytes a second, waiting means
 * that every buffer is memory touched for the first time, and a full collection many times a second.
 */
export function release(buffer: Uint8Array): void {
  const memory = buffer.buffer
  if (memory instanceof ArrayBuffer && memory.byteLength === buffer.length) memory.transfer(0)
}
