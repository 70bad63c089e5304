import { booleanOption } from './options.ts'
import { rounds } from './rounds.ts'

/**
 * Local SGD, or parameter averaging: `h` local steps, then the mean, W ← W + G. With h = 1 and plain SGD it is allreduce.
 *
 * Options: `h`; `average-optimizer`, to take the mean of the optimizers' state too, as DL4J's `saveUpdater` does; `algorithm`.
 *
 * @see Stich 2018, arXiv 1805.09767
 */
export const localSgd = rounds<{ averageOptimizer: boolean }>({
  name: 'local-sgd',
  h: 8,
  known: ['average-optimizer'],
  options: options => ({ averageOptimizer: booleanOption('local-sgd', options, 'average-optimizer', false) }),
  momentum: false,
  averagesOptimizer: ({ averageOptimizer }) => averageOptimizer,
  update: (_, { anchor, mean, parameters }) => [
    { type: 'copy', into: parameters, from: anchor },
    { type: 'reduce', into: parameters, from: mean }
  ]
})
