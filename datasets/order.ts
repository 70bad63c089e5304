import { createRng, InvalidParametersError, shuffle } from '../common/index.ts'

/** Largest number of samples of one split. */
export const MAX_SAMPLES = 2 ** 31 - 1

/**
 * The order of an epoch: a full permutation of 0 … count − 1 that depends on (count, seed, epoch) alone, so that every rank
 * computes the same one.
 *
 * @param epoch - from 0
 * @returns position → sample id, 4 bytes a sample
 * @see Fisher-Yates as in Durstenfeld 1964
 */
export function sampleOrder(count: number, seed: number | string, epoch: number): Uint32Array {
  if (!(Number.isInteger(count) && count >= 0 && count <= MAX_SAMPLES)) {
    throw new InvalidParametersError(`the number of samples must be an integer from 0 to ${MAX_SAMPLES}, not ${count}`)
  }
  if (!(Number.isSafeInteger(epoch) && epoch >= 0)) throw new InvalidParametersError(`an epoch is an integer from 0, not ${epoch}`)
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = i
  return shuffle(order, createRng(`${seed}/order/${epoch}`))
}
