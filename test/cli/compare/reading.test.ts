import t from 'tap'
import { reading } from '../../../cli/compare/reading.ts'
import { reportedRuns } from '../../../cli/compare/runs.ts'
import { shown, summarise } from '../../../cli/compare/summary.ts'
import type { RunSpec } from '../../../cli/compare/types.ts'
import { experiment, result } from './fixtures.ts'

function read(seeds: number, losses: (spec: RunSpec) => number[], accuracy: (spec: RunSpec) => number = () => 0.9): string {
  const e = experiment({ seeds })
  const results = reportedRuns(e, new Map()).map(spec => result({ losses: losses(spec), accuracy: accuracy(spec), spec }))
  return reading(e, shown(summarise(e, results, [])), [])
}

t.test('a difference is claimed where its interval leaves out none', async t => {
  const text = read(
    4,
    spec => (spec.strategy === 'gossip' ? [2, 1 - spec.seed / 100] : [2, 1.6, 1.2, 1 - spec.seed / 100]),
    spec => (spec.strategy === 'gossip' ? 0.88 : 0.9) + spec.seed / 1000
  )
  t.match(text, /gossip took 0\.\d\d times as long as allreduce \(95 % interval/)
  t.match(text, /Final accuracy against allreduce, in points: gossip −2\.0/)
  t.match(text, /simulated, not measured/)
})

t.test('nothing is claimed where the intervals overlap, or with one seed, or where the target was never reached', async t => {
  const noise = [0.2, -0.3, 0.25, -0.2]
  const text = read(
    4,
    spec => [2, 1.3, 0.8 + (spec.strategy === 'gossip' ? noise[spec.seed - 1]! / 2 : 0)],
    spec => 0.9 + (spec.strategy === 'gossip' ? noise[spec.seed - 1]! / 50 : 0)
  )
  t.match(text, /gossip is not told apart from that of allreduce|time to test loss 1 of gossip is not told apart/)
  t.notMatch(text, /times as long/)
  t.notMatch(text, /Final accuracy against/)
  t.match(
    read(1, () => [2, 0.5]),
    /With one seed there is no interval, so nothing is claimed/
  )
  t.match(
    read(2, () => [2, 1.5]),
    /allreduce and gossip never reached test loss 1/
  )
})
