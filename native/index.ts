/**
 * @packageDocumentation
 *
 * Kernels on flat float32 memory. There are the TypeScript ones only so far; an addon's will stand beside them with the same names
 * and the same bits.
 *
 * @example
 * import { add } from './native/index.ts'
 * const sum = Float32Array.of(1, 2)
 * add(sum, Float32Array.of(10, 20))
 * console.log(sum) // 11, 22
 */
export { add, blend, combine } from './kernels.ts'
