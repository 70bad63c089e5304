/**
 * @packageDocumentation
 *
 * What runs at the machine's own speed: kernels on flat float32 memory, and memory that threads and processes share. An addon in C++
 * (native/src, built by native/build.mjs where there is a compiler) does the work; without it, or with `GRADMESH_NATIVE=off`, the
 * kernels run in TypeScript with the same bits, and there are no arenas.
 *
 * @example
 * import { add, arenasAvailable, createArena, nativeReport, openArena } from './native/index.ts'
 * console.log(nativeReport()) // { level: 'avx512', arenas: true }
 * const sum = Float32Array.of(1, 2)
 * add(sum, Float32Array.of(10, 20))
 * console.log(sum) // 11, 22
 * if (arenasAvailable) {
 *   const arena = createArena(1 << 20)
 *   const again = openArena(arena.share()) // in another thread or process just as well
 *   arena.floats()[5] = 7
 *   console.log(again.floats()[5]) // 7
 *   again.close()
 *   arena.close()
 * }
 */
import { active } from './addon.ts'
import { checked } from './kernels/checked.ts'

export { kernelLevels, type Level, loadPart, type NativeReport, nativeReport, type Part } from './addon.ts'
export { type Arena, arenaOf, arenasAvailable, createArena, liveMappings, openArena, type SharedArena } from './arena.ts'
export { checked } from './kernels/checked.ts'
export { INT8_BLOCK, int8Bytes, type Kernels, SGD_FORMS } from './kernels/kernels.ts'
export { createShmLink, type ShmLink, shmProblem } from './shm.ts'
export { createUcxNode, type UcxEvent, type UcxNode, type UcxOptions, ucxReport } from './ucx.ts'

/** The kernels; {@link Kernels} documents each. Wrong arguments throw InvalidParametersError. */
export const {
  add,
  addScaled,
  average,
  blend,
  checksum,
  combine,
  decodeBitmap,
  decodeThreshold,
  dot,
  encodeBitmap,
  encodeThreshold,
  lambApply,
  lambMoments,
  maxAbs,
  packBfloat,
  packHalf,
  packInt8,
  scale,
  scatterAdd,
  sgd,
  adagrad,
  adadelta,
  adam,
  rmsprop,
  sumAbs,
  sumSquares,
  topK,
  unpackBfloat,
  unpackHalf,
  unpackInt8
} = checked(active)
