import { integerOption, numberOption } from './options.ts'
import type { ShardVariant } from './shard-state.ts'
import { shards } from './shards.ts'

interface EasgdOptions {
  /** Local steps between two exchanges. */
  period: number
  /** a */
  elasticity: number
  /** δ, of the trainers. */
  momentum: number
}

/**
 * Elastic averaging: every `t` local steps a trainer and the centre x̃, which the owners hold, draw one another nearer in one exchange:
 *
 *     d = a(x_i − x̃);  x_i ← x_i − d;  x̃ ← x̃ + d
 *
 * so that Σx_i + x̃ is conserved by it. Trainers take the job's own optimizer's steps between. The model is the centre.
 *
 * Options: `t`; `a`; `shards`; `slots`.
 *
 * @see Zhang, Choromanska & LeCun 2015, arXiv 1412.6651
 */
function elastic(name: string, period: number, own: Partial<ShardVariant<EasgdOptions>>): ShardVariant<EasgdOptions> {
  return {
    ...own,
    name,
    known: ['t', 'a', ...(own.known ?? [])],
    options: options => ({
      period: integerOption(name, options, 't', period, 1, 1_000_000),
      elasticity: numberOption(name, options, 'a', 0.1, { above: 0, below: 1 }),
      momentum: own.known === undefined ? 0 : numberOption(name, options, 'momentum', 0.9, { from: 0, below: 1 })
    }),
    aux: 0,
    before: true,
    every: ({ period }) => ({ push: period, fetch: period }),
    // the local step comes first: what is pushed is where it led
    payload: () => [],
    pushed: (_, { parameters, outgoing }) => [{ type: 'copy', into: outgoing[0]!, from: parameters }],
    arrived: ({ elasticity }, { master, pieces }) => ({
      effects: [{ type: 'blend', into: master, from: pieces[0]!, factor: elasticity }],
      updated: true
    }),
    fetched: ({ elasticity }, into, from) => [{ type: 'blend', into, from, factor: elasticity }]
  }
}

export const easgd = shards<EasgdOptions>(elastic('easgd', 4, { localStep: () => ({ effects: [], scale: 1 }) }))

/**
 * EAMSGD: `easgd` whose trainers take steps of Nesterov's momentum: v ← δv + g; x ← x − α(g + δv).
 *
 * Options: `t`; `a`; `momentum` δ; `shards`; `slots`.
 */
export const eamsgd = shards<EasgdOptions>(
  elastic('eamsgd', 10, {
    known: ['momentum'],
    local: 2,
    localStep({ momentum }, { gradients, denominator, parameters, local, rate }) {
      const [mean, v] = [local[0]!, local[1]!]
      return {
        effects: [
          { type: 'divide', into: mean, from: gradients, by: denominator },
          { type: 'combine', into: v, from: mean, alpha: momentum, beta: 1 },
          { type: 'combine', into: parameters, from: mean, alpha: 1, beta: -rate },
          { type: 'combine', into: parameters, from: v, alpha: 1, beta: -rate * momentum }
        ],
        scale: 0
      }
    }
  })
)
