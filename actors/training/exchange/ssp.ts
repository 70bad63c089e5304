import { integerOption } from './options.ts'
import { shards } from './shards.ts'

/**
 * Stale synchronous parallel: updates are summed as they come, and a trainer that has pushed c of them gets its shards back only when
 * everybody has pushed c − s: it has then seen all updates up to c − s − 1, and the fastest is never more than s ahead of the slowest. With
 * p trainers an update is θ ← θ − (α/p)·g, so that s = 0 is synchronous SGD.
 *
 * Trainers that have nothing to train, and newcomers before their first push, hold nobody up.
 *
 * Options: `s`; `shards`; `slots`.
 *
 * @see Ho et al. 2013, More effective distributed ML via a stale synchronous parallel parameter server
 */
export const ssp = shards<{ s: number }>({
  name: 'ssp',
  known: ['s'],
  options: options => ({ s: integerOption('ssp', options, 's', 3, 0, 1_000_000) }),
  aux: 0,
  every: () => ({ push: 1, fetch: 1 }),
  bound: ({ s }) => s,
  arrived: (_, { master, pieces, rate, trainers }) => ({
    effects: [{ type: 'combine', into: master, from: pieces[0]!, alpha: 1, beta: -rate / trainers }],
    updated: true
  })
})
