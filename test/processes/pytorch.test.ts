// starts processes
// A residual network that PyTorch exported, trained here as PyTorch trains it. Optional: without PyTorch it says so and passes.
import t from 'tap'
import { compare, furthest } from '../models/pytorch/compare.ts'
import { pythonWithTorch } from '../models/pytorch/python.ts'

const found = await pythonWithTorch()
const skip = 'reason' in found ? found.reason : false

t.test('ten steps of a network with batch normalisation give the losses of PyTorch', { skip, timeout: 600_000 }, async t => {
  if ('reason' in found) return
  const { here, there } = await compare(found.python, {
    ...{ data: 'shapes32?train=320&test=200', widths: [8, 16], blocks: 1, batch: 32 },
    ...{ lr: 0.05, gamma: 0.5, stepSize: 5, momentum: 0.9, weightDecay: 5e-4, seed: 5 }
  })
  t.equal(here.losses.length, 10)
  const distance = furthest(here.losses, there.losses, 10)
  t.comment(`losses ${here.losses.map(l => l.toFixed(4)).join(' ')}; furthest ${distance}`)
  t.ok(distance < 1e-3, `within ${distance} of ${there.losses.join(', ')}`)
  t.ok(Math.abs(here.accuracy - there.accuracy) <= 0.01, `accuracy ${here.accuracy} is ${there.accuracy}: the statistics are those, too`)
})
