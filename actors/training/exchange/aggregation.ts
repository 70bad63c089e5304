import { InvalidParametersError } from '../../../common/index.ts'

/** Makes one vector of many, some of which may be lies. */
export interface Aggregation {
  name: string
  /** @param into - the result; holds that of the step before */
  combine(vectors: readonly Float32Array[], into: Float32Array): void
}

/** What may be named; `trimmed-mean`, `centered-clipping` and `krum` take a number behind a colon. */
export const aggregationNames = ['median', 'trimmed-mean', 'centered-clipping', 'krum'] as const

/** Float by float, the mean of what is left without the `cut` smallest and largest. */
function trimmed(name: string, cutOf: (count: number) => number): Aggregation {
  return {
    name,
    combine(vectors, into) {
      const count = vectors.length
      const cut = Math.min(Math.max(0, cutOf(count)), Math.floor((count - 1) / 2))
      const column = new Float32Array(count)
      for (let i = 0; i < into.length; i++) {
        for (let r = 0; r < count; r++) column[r] = vectors[r]![i]!
        column.sort()
        let sum = 0
        for (let r = cut; r < count - cut; r++) sum += column[r]!
        into[i] = sum / (count - 2 * cut)
      }
    }
  }
}

/** v ← v + (1/n)Σ(x_i − v)·min(1, t/‖x_i − v‖). @see Karimireddy, He & Jaggi 2021, arXiv 2012.10333 */
function centeredClipping(radius: number): Aggregation {
  return {
    name: 'centered-clipping',
    combine(vectors, into) {
      const sum = new Float64Array(into.length)
      for (const x of vectors) {
        let squares = 0
        for (let i = 0; i < into.length; i++) squares += (x[i]! - into[i]!) ** 2
        // a vector that is no number moves nobody
        const factor = squares <= radius * radius ? 1 : Number.isFinite(squares) ? radius / Math.sqrt(squares) : 0
        if (factor > 0) for (let i = 0; i < into.length; i++) sum[i]! += factor * (x[i]! - into[i]!)
      }
      for (let i = 0; i < into.length; i++) into[i] = into[i]! + sum[i]! / vectors.length
    }
  }
}

/** The vector nearest to its n − f − 2 nearest others; for comparison: it falls to attacks that stay near. @see Blanchard et al. 2017 */
function krum(faulty: number | undefined): Aggregation {
  return {
    name: 'krum',
    combine(vectors, into) {
      const n = vectors.length
      const f = faulty ?? Math.max(0, Math.floor((n - 3) / 2))
      let best = 0
      let least = Number.POSITIVE_INFINITY
      for (let a = 0; a < n; a++) {
        const distances = vectors.map(x => {
          let squares = 0
          for (let i = 0; i < into.length; i++) squares += (x[i]! - vectors[a]![i]!) ** 2
          return squares
        })
        distances.splice(a, 1)
        distances.sort((x, y) => x - y)
        const score = distances.slice(0, Math.max(1, n - f - 2)).reduce((sum, d) => sum + d, 0)
        if (score < least) [best, least] = [a, score]
      }
      into.set(vectors[best]!)
    }
  }
}

/**
 * The rule that `text` names: `median`, `trimmed-mean:2` (cut at either end; a fifth by default), `centered-clipping:10` (t, 1 by
 * default), `krum:1` (f, as many as it allows by default).
 *
 * @throws InvalidParametersError that lists the known ones
 */
export function aggregationNamed(text: string): Aggregation {
  const [, name, number] = /^([a-z-]+)(?::([0-9.e-]+))?$/.exec(text) ?? []
  const value = number === undefined ? undefined : Number(number)
  if (value !== undefined && !(value >= 0 && value < 1e6)) {
    throw new InvalidParametersError(`aggregation '${name}' takes a number of at least 0 behind its colon, not '${number}'`)
  }
  if (name === 'median' && value === undefined) return trimmed('median', count => Math.floor((count - 1) / 2))
  if (name === 'trimmed-mean') return trimmed('trimmed-mean', count => Math.floor(value ?? count / 5))
  if (name === 'centered-clipping') return centeredClipping(value ?? 1)
  if (name === 'krum') return krum(value === undefined ? undefined : Math.floor(value))
  throw new InvalidParametersError(`no aggregation is called '${text.slice(0, 100)}'; choose one of ${aggregationNames.join(', ')}`)
}
