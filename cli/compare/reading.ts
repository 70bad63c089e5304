import { paired, pairedRatio } from './statistics.ts'
import { bySeed, type Cell } from './summary.ts'
import { targetText } from './target.ts'
import type { Experiment, RunFailure } from './types.ts'

/**
 * A paragraph that says what the comparison shows. The first strategy is what the others are held against, over paired seeds; a
 * difference is claimed only where its 95 % interval leaves out none at all. The intervals are one by one: with many comparisons one in
 * twenty misses, which the paragraph says.
 *
 * @param cells - what is shown: one a strategy and delay model
 */
export function reading(experiment: Experiment, cells: readonly Cell[], failures: readonly RunFailure[]): string {
  const { strategies, delays, seeds, mode, target } = experiment
  const sentences: string[] = []
  const clock = mode === 'simulated' ? 'virtual time (simulated, not measured)' : 'time on this machine'
  const first = strategies[0]!.label
  sentences.push(
    `${seeds.length} paired seed${seeds.length === 1 ? '' : 's'}, ${clock}; every strategy trained the same ${experiment.samples} samples from the same initialisation and order of a seed.`
  )
  if (seeds.length < 2) {
    sentences.push('With one seed there is no interval, so nothing is claimed; the figures show single runs.')
    return [...sentences, troubles(cells, failures)].filter(s => s !== '').join(' ')
  }
  for (const delay of delays) {
    const here = cells.filter(cell => cell.delay === delay)
    const base = here.find(cell => cell.label === first)
    if (base === undefined) continue
    sentences.push(`Under ${delay}:`, times(base, here, targetText(target)), accuracies(base, here))
  }
  if (delays.length > 1) sentences.push(slowdowns(experiment, cells))
  sentences.push(troubles(cells, failures))
  if (strategies.length * delays.length > 4) {
    sentences.push('The intervals are one by one, not joint: of twenty such comparisons one is expected to miss.')
  }
  return sentences.filter(s => s !== '').join(' ')
}

function times(base: Cell, cells: readonly Cell[], target: string): string {
  const others = cells.filter(cell => cell !== base)
  const own = bySeed(base, r => r.timeToTarget)
  const never = cells.filter(cell => cell.reached === 0).map(cell => cell.label)
  const partly = cells
    .filter(cell => cell.reached > 0 && cell.reached < cell.runs.size)
    .map(cell => `${cell.label} (${cell.reached} of ${cell.runs.size})`)
  const claims: string[] = []
  const open: string[] = []
  for (const cell of others) {
    const { n, ratio, low, high } = pairedRatio(
      own,
      bySeed(cell, r => r.timeToTarget)
    )
    if (n < 2 || low === undefined || high === undefined) continue
    const range = `${figure(ratio)} times as long as ${base.label} (95 % interval ${figure(low)} to ${figure(high)}${n < base.runs.size ? `, ${n} pairs` : ''})`
    if (high < 1 || low > 1) claims.push(`${cell.label} took ${range}`)
    else open.push(cell.label)
  }
  const parts = [
    claims.length > 0 ? `to ${target}, ${claims.join('; ')}.` : '',
    open.length > 0 ? `The time to ${target} of ${list(open)} is not told apart from that of ${base.label}.` : '',
    never.length > 0 ? `${list(never)} never reached ${target}.` : '',
    partly.length > 0 ? `Not every run reached it: ${list(partly)}; times are of those that did.` : ''
  ]
  return parts.filter(p => p !== '').join(' ')
}

function accuracies(base: Cell, cells: readonly Cell[]): string {
  const claims: string[] = []
  const open: string[] = []
  const own = bySeed(base, r => r.accuracy)
  for (const cell of cells) {
    if (cell === base) continue
    const { n, mean, half } = paired(
      own,
      bySeed(cell, r => r.accuracy)
    )
    if (n < 2 || half === undefined) continue
    if (Math.abs(mean) > half) claims.push(`${cell.label} ${signed(mean)} (${signed(mean - half)} to ${signed(mean + half)})`)
    else open.push(`${cell.label} (within ${((Math.abs(mean) + half) * 100).toFixed(1)})`)
  }
  const parts = [
    claims.length > 0 ? `Final accuracy against ${base.label}, in points: ${claims.join(', ')}.` : '',
    open.length > 0 ? `Not told apart from ${base.label} in final accuracy: ${list(open)} points.` : ''
  ]
  return parts.filter(p => p !== '').join(' ')
}

/** How much longer each strategy takes to the target under the other delay models than under the first. */
function slowdowns({ delays, strategies }: Experiment, cells: readonly Cell[]): string {
  const sentences: string[] = []
  for (const delay of delays.slice(1)) {
    const factors: string[] = []
    for (const { label } of strategies) {
      const [calm, hard] = [delays[0], delay].map(d => cells.find(c => c.label === label && c.delay === d))
      if (calm === undefined || hard === undefined) continue
      const { n, ratio, low, high } = pairedRatio(
        bySeed(calm, r => r.timeToTarget),
        bySeed(hard, r => r.timeToTarget)
      )
      if (n >= 2 && low !== undefined && high !== undefined) factors.push(`${label} ${figure(ratio)} (${figure(low)} to ${figure(high)})`)
    }
    if (factors.length > 0) sentences.push(`Time to the target under ${delay} over that under ${delays[0]}: ${factors.join(', ')}.`)
  }
  return sentences.join(' ')
}

function troubles(cells: readonly Cell[], failures: readonly RunFailure[]): string {
  const diverged = cells
    .filter(cell => cell.diverged > 0)
    .map(cell => `${cell.label} under ${cell.delay} (${cell.diverged} of ${cell.runs.size})`)
  const parts = [
    diverged.length > 0 ? `Diverged: ${list(diverged)}.` : 'No run diverged.',
    failures.length > 0 ? `${failures.length} run${failures.length === 1 ? '' : 's'} failed and are left out.` : ''
  ]
  return parts.filter(p => p !== '').join(' ')
}

function figure(x: number): string {
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)
}

function signed(share: number): string {
  const points = share * 100
  return `${points < 0 ? '−' : '+'}${Math.abs(points).toFixed(1)}`
}

function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
