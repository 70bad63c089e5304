import { InvalidParametersError, MAX_PARAMETERS } from '../../../common/index.ts'
import { arenaOf, arenasAvailable, checksum, createArena, openArena, type SharedArena } from '../../../native/index.ts'

/** Floats behind the gradients that travel with them: the loss's sum, its denominator, the correct answers. */
export const TAIL = 3

/**
 * The flat float32 arenas of one trainer, in memory that its two threads share. `parameters` and `gradients` have one view per
 * tensor at the layout's offsets. Behind the parameters lie the model's running statistics, and at the same place of `gradients` what a
 * step changes in them, times the loss's denominator; then the tail {@link TAIL}: so one reduction carries all, and whoever mixes
 * parameters mixes statistics with them.
 */
export interface TrainerArenas {
  parameters: Float32Array
  gradients: Float32Array
  /** Optimizer state. */
  optimizer: Float32Array
  /** What the strategy keeps across steps. */
  state: Float32Array
  outgoing: Float32Array
  landing: Float32Array
}

/** Gives the strategy the scratch it asks for; what `state` held is kept where its size stays. */
export function resizeArenas(arenas: TrainerArenas, sizes: { outgoing: number; landing: number; state: number }): void {
  for (const name of ['outgoing', 'landing', 'state'] as const) {
    if (arenas[name].length !== sizes[name]) arenas[name] = floats(sizes[name])
  }
}

export function createArenas(sizes: { parameters: number; statistics: number; optimizer: number }): TrainerArenas {
  if (sizes.parameters > MAX_PARAMETERS) {
    throw new InvalidParametersError(`a model of ${sizes.parameters} parameters is over the limit of ${MAX_PARAMETERS}`)
  }
  return {
    parameters: floats(sizes.parameters + sizes.statistics),
    gradients: floats(sizes.parameters + sizes.statistics + TAIL),
    optimizer: floats(sizes.optimizer),
    state: floats(0),
    outgoing: floats(0),
    landing: floats(0)
  }
}

/**
 * Zeros that another thread can share: an arena's where there are arenas, which ONNX Runtime takes tensors over; else of a
 * SharedArrayBuffer, which it refuses. They are given back when nobody refers to them any more, since a transfer may still read them.
 */
function floats(length: number): Float32Array {
  if (length === 0 || !arenasAvailable) return sharedFloats(length)
  return createArena(length * 4).floats(0, length)
}

/** Zeros in a SharedArrayBuffer: what travels to another thread as it is. */
export function sharedFloats(length: number): Float32Array<SharedArrayBuffer> {
  return new Float32Array(new SharedArrayBuffer(length * 4))
}

/** Floats of {@link TrainerArenas} on their way to another thread. */
export type FloatsForThread = { arena: SharedArena; length: number } | { shared: Float32Array<SharedArrayBuffer> }

/** @throws InvalidParametersError when the memory cannot be shared */
export function forThread(view: Float32Array): FloatsForThread {
  const arena = arenaOf(view.buffer)
  if (arena !== undefined && view.byteOffset === 0) return { arena: arena.share(), length: view.length }
  if (view.buffer instanceof SharedArrayBuffer) return { shared: view as Float32Array<SharedArrayBuffer> }
  throw new InvalidParametersError('the engine takes whole arenas, or floats of a SharedArrayBuffer')
}

/** The same memory in this thread, and whether ONNX Runtime takes tensors over it. */
export function fromThread(floats: FloatsForThread): { view: Float32Array; direct: boolean } {
  if ('shared' in floats) return { view: floats.shared, direct: false }
  return { view: openArena(floats.arena).floats(0, floats.length), direct: true }
}

/** The bytes of a float view. */
export function bytesOf(view: Float32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** CRC-32C of float bits: replicas in the same state give the same text. */
export function stateHash(...views: Float32Array[]): string {
  const crc = views.reduce((seed, view) => checksum(bytesOf(view), seed), 0)
  return crc.toString(16).padStart(8, '0')
}
