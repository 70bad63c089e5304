// `npm run demo [-- FLAGS]`: LeNet learns drawn digits in two trainer processes, with no node running beforehand. FLAGS are those of
// `mesh train` and override what stands here.
import { main } from '../cli/main.ts'
import { dieWithRelauncher } from '../cli/relaunch.mjs'

dieWithRelauncher()
const defaults = {
  model: 'lenet',
  data: 'digits',
  strategy: 'allreduce',
  trainers: '2',
  batch: '32',
  lr: '0.02',
  momentum: '0.9',
  epochs: '2',
  'min-accuracy': '0.97'
}
const given = process.argv.slice(2)
const flags = Object.entries(defaults)
  .filter(([name]) => !given.some(arg => arg === `--${name}` || arg.startsWith(`--${name}=`)))
  .flatMap(([name, value]) => [`--${name}`, value])
// With a node running on this machine the job would go to that node's mesh; the demo shows that none is needed.
await main(['train', '--embedded', ...flags, ...given])
