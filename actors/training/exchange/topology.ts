import { rendezvousOrder } from '../../../common/index.ts'

/**
 * Who exchanges with whom, as a pure function of the names that take part: trainers with the same view agree without a word.
 * `names` are sorted and hold `self`; what comes back never holds it.
 */

/** Graphs whose edges go both ways. */
export const graphNames = ['complete', 'ring', 'exponential', 'grid', 'random-regular'] as const
export type GraphName = (typeof graphNames)[number]

/** Schedules in which everybody sends to one trainer and hears from one, another each round. */
export const scheduleNames = ['exponential', 'ring', 'complete'] as const
export type ScheduleName = (typeof scheduleNames)[number]

const mod = (a: number, n: number) => ((a % n) + n) % n

/**
 * The neighbours of `self` in a static, symmetric graph.
 *
 * - `complete`: all; `ring`: left and right; `exponential`: those at distance 2^k either way
 * - `grid`: up, down, left and right on a torus of r rows, r the largest divisor up to √n
 * - `random-regular`: next and previous on two cycles that `key` draws: degree 4, or less where they meet
 */
export function neighboursOf(graph: GraphName, names: readonly string[], self: string, key: string): string[] {
  const n = names.length
  const i = names.indexOf(self)
  const at = (index: number) => names[mod(index, n)]!
  let found: string[] = []
  if (graph === 'complete') found = [...names]
  else if (graph === 'ring') found = [at(i - 1), at(i + 1)]
  else if (graph === 'exponential') for (let hop = 1; hop < n; hop *= 2) found.push(at(i - hop), at(i + hop))
  else if (graph === 'grid') {
    let rows = Math.floor(Math.sqrt(n))
    while (n % rows !== 0) rows--
    const columns = n / rows
    const [row, column] = [Math.floor(i / columns), i % columns]
    const cell = (r: number, c: number) => at(mod(r, rows) * columns + mod(c, columns))
    found = [cell(row - 1, column), cell(row + 1, column), cell(row, column - 1), cell(row, column + 1)]
  } else {
    for (const cycle of [0, 1]) {
      const order = rendezvousOrder(`${key}/${cycle}`, names)
      const place = order.indexOf(self)
      found.push(order[mod(place - 1, n)]!, order[mod(place + 1, n)]!)
    }
  }
  return [...new Set(found)].filter(name => name !== self).sort()
}

/** Rounds after which a schedule begins anew. */
export function roundsOf(schedule: ScheduleName, n: number): number {
  return schedule === 'ring' || n < 3 ? 1 : schedule === 'complete' ? n - 1 : Math.ceil(Math.log2(n))
}

/**
 * The two trainers of `self`'s round: `to` is sent to, `from` is heard from; both undefined where it is alone.
 *
 * - `exponential`: at distance 2^k, k cycling through 0 … ⌈log₂n⌉ − 1
 * - `ring`: the next; `complete`: at distance 1, 2, … n − 1 in turn
 */
export function onePeer(
  schedule: ScheduleName,
  names: readonly string[],
  self: string,
  round: number
): { to: string | undefined; from: string | undefined } {
  const n = names.length
  if (n < 2) return { to: undefined, from: undefined }
  const i = names.indexOf(self)
  const phase = mod(round, roundsOf(schedule, n))
  const hop = schedule === 'exponential' ? 2 ** phase : phase + 1
  return { to: names[mod(i + hop, n)], from: names[mod(i - hop, n)] }
}

/** The partner of `self` in a perfect matching that `key` draws; undefined for the one who is left over. */
export function partnerOf(names: readonly string[], self: string, key: string): string | undefined {
  const order = rendezvousOrder(key, names)
  return order[order.indexOf(self) ^ 1]
}

/**
 * Those who share all indices with `self` but the one of dimension `round` mod `dimensions`, on a grid of side ⌈n^(1/d)⌉ that is
 * filled in the order of names. On a full grid, after as many rounds as dimensions everybody has everybody's mean.
 */
export function gridGroup(names: readonly string[], self: string, dimensions: number, round: number): string[] {
  let side = 1
  while (side ** dimensions < names.length) side++
  const stride = side ** mod(round, dimensions)
  const without = (index: number) => index - (Math.floor(index / stride) % side) * stride
  const mine = without(names.indexOf(self))
  return names.filter((name, index) => name !== self && without(index) === mine)
}
