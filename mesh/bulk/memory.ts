/**
 * Copy all of `source` to `target`, from byte `at` on; the caller has checked that it fits. `TypedArray.set` falls back to a slow loop
 * where either side is shared memory; this is one `memmove` in any case.
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, at: number): void {
  Buffer.prototype.copy.call(source, target, at)
}
