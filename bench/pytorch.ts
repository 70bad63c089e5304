/**
 * A residual network with batch normalisation, exported by PyTorch and trained for an epoch by both sides on the same batches: how far the
 * losses of the first ten steps are apart, and the test accuracy.
 *
 *   npm run bench -- pytorch [--data digits] [--widths 8,16] [--blocks 1] [--batch 32] [--lr 0.02] [--gamma 0.1] [--step-size 250]
 *     [--seeds 1,2,3] [--json]
 *
 * The rate falls to a tenth for the last third of the epoch: kept high to the end it makes the accuracy of the last moment a matter of chance by
 * several points, from one seed or one order of additions to the next. `--widths 16,32,64 --blocks 3` is ResNet-20. Needs PyTorch (Debian: python3-torch,
 * libopenblas0-pthread), in `python3` or where GRADMESH_PYTHON says.
 */
import { parseArgs } from 'node:util'
import { compare, furthest } from '../test/models/pytorch/compare.ts'
import { pythonWithTorch } from '../test/models/pytorch/python.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: 'digits' },
    widths: { type: 'string', default: '8,16' },
    blocks: { type: 'string', default: '1' },
    batch: { type: 'string', default: '32' },
    lr: { type: 'string', default: '0.02' },
    gamma: { type: 'string', default: '0.1' },
    'step-size': { type: 'string', default: '250' },
    seeds: { type: 'string', default: '1,2,3' },
    json: { type: 'boolean', default: false }
  }
})

const found = await pythonWithTorch()
if ('reason' in found) {
  console.error(found.reason)
  process.exit(1)
}
const percent = (share: number) => `${(100 * share).toFixed(2)} %`
const differences: number[] = []
for (const seed of values.seeds.split(',').map(Number)) {
  const { here, there } = await compare(found.python, {
    data: values.data,
    widths: values.widths.split(',').map(Number),
    blocks: Number(values.blocks),
    batch: Number(values.batch),
    lr: Number(values.lr),
    gamma: Number(values.gamma),
    stepSize: Number(values['step-size']),
    momentum: 0.9,
    weightDecay: 5e-4,
    seed
  })
  const row = {
    seed,
    steps: here.losses.length,
    apart: furthest(here.losses, there.losses, 10),
    here: here.accuracy,
    there: there.accuracy
  }
  differences.push(here.accuracy - there.accuracy)
  if (values.json) console.log(JSON.stringify(row))
  else {
    console.log(`seed ${seed}: ${row.steps} steps, losses of the first ten within ${row.apart.toExponential(1)} of each other`)
    console.log(`  test accuracy ${percent(row.here)} here, ${percent(row.there)} in PyTorch`)
  }
}
if (!values.json) console.log(`mean difference ${percent(differences.reduce((a, b) => a + b, 0) / differences.length)}`)
