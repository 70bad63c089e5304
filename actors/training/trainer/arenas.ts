import { InvalidParametersError, MAX_PARAMETERS } from '../../../common/index.ts'

/** Floats behind the gradients that travel with them: the loss's sum, its denominator, the correct answers. */
export const TAIL = 3

/**
 * The flat float32 arenas of one trainer, in memory that its two threads share. `parameters` and `gradients` have one view per
 * tensor at the layout's offsets. Behind the parameters lie the model's running statistics, and at the same place of `gradients` what a
 * step changes in them, times the loss's denominator; then the tail {@link TAIL}: so one reduction carries all, and whoever mixes
 * parameters mixes statistics with them.
 */
export interface TrainerArenas {
  parameters: Float32Array<SharedArrayBuffer>
  gradients: Float32Array<SharedArrayBuffer>
  /** Optimizer state. */
  optimizer: Float32Array<SharedArrayBuffer>
  /** What the strategy keeps across steps. */
  state: Float32Array<SharedArrayBuffer>
  outgoing: Float32Array<SharedArrayBuffer>
  landing: Float32Array<SharedArrayBuffer>
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

export function floats(length: number): Float32Array<SharedArrayBuffer> {
  return new Float32Array(new SharedArrayBuffer(length * 4))
}

/** The bytes of a float view. */
export function bytesOf(view: Float32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** 32-bit hash of float bits (FNV-1a over words, finished by a mix): replicas in the same state give the same text. */
export function stateHash(...views: Float32Array[]): string {
  let h = 0x811c9dc5
  for (const view of views) {
    const words = new Int32Array(view.buffer, view.byteOffset, view.length)
    for (let i = 0; i < words.length; i++) h = Math.imul(h ^ words[i]!, 0x01000193)
  }
  return (h >>> 0).toString(16).padStart(8, '0')
}
