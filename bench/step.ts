/**
 * Time and memory of a full step (forward, backward, update), beside PyTorch on the same machine in the same run.
 *
 *   npm run bench -- step [--models mlp,lenet,cifar10-quick,resnet20,gpt-nano] [--threads 1,2] [--batch 64] [--steps 40] [--repeats 5] [--json]
 *
 * Runs of both sides alternate, each in a process of its own; medians are shown. Ours is a trainer's own engine and optimizer (SGD with
 * momentum), without exchange. `run` is the part of a step inside onnxruntime, `JS` the share of everything else: messages between the two
 * threads, feeds, the update. Memory is the process's largest resident set. Without PyTorch (Debian: apt-get install python3-torch
 * libopenblas0-pthread; without the latter its reference BLAS is many times slower; GRADMESH_PYTHON names another python) only ours is measured.
 *
 * Any model of the zoo goes, with its own input. Losses of the first and the last step are those of one fixed batch:
 *
 *   npm run bench -- step --models googlenet --batch 32 --threads 2 --steps 5 --warm-up 0 --repeats 1 --lr 0.001 --no-pytorch
 */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pythonWithTorch } from '../test/models/pytorch/python.ts'

const { values } = parseArgs({
  allowNegative: true,
  options: {
    models: { type: 'string', default: 'mlp,lenet,cifar10-quick,resnet20,gpt-nano' },
    threads: { type: 'string', default: '1,2' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '40' },
    'warm-up': { type: 'string', default: '10' },
    repeats: { type: 'string', default: '5' },
    lr: { type: 'string', default: '0.001' },
    pytorch: { type: 'boolean', default: true },
    json: { type: 'boolean', default: false }
  }
})

/** What one run of either side prints: medians over its steps, ms; the largest resident set, bytes. */
interface Measured {
  step: number
  run?: number
  update?: number
  build?: number
  memory: number
  first: number
  last: number
}

/** Models that step.py has, too. */
const twins = ['mlp', 'lenet', 'cifar10-quick', 'resnet20', 'gpt-nano']

const found = values.pytorch ? await pythonWithTorch() : undefined
if (found !== undefined && 'reason' in found) console.error(`${found.reason}; only gradmesh is measured`)
const python = found !== undefined && 'python' in found ? found.python : undefined

function measure(command: string, script: string, model: string, threads: string): Measured {
  const args = [fileURLToPath(new URL(script, import.meta.url)), model, threads, values.batch, values.steps, values['warm-up'], values.lr]
  const blas = { OMP_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads }
  const run = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...blas }, maxBuffer: 1 << 24 })
  if (run.status !== 0) throw new Error(`${script} ${model} ended with ${run.status ?? run.signal}: ${run.stderr.slice(-800)}`)
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Measured
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0)

console.log(`${cpus()[0]?.model}, ${cpus().length} cores; batch ${values.batch}, median of ${values.repeats} runs of ${values.steps} steps`)
console.log(
  '| model | threads | step ms | run ms | JS | samples/s | PyTorch ms | its samples/s | ratio | MB | its MB | loss, first and last |'
)
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
for (const model of values.models.split(',')) {
  for (const threads of values.threads.split(',')) {
    const ours: Measured[] = []
    const theirs: Measured[] = []
    for (let i = 0; i < Number(values.repeats); i++) {
      ours.push(measure(process.execPath, './step-run.ts', model, threads))
      if (python !== undefined && twins.includes(model)) theirs.push(measure(python, './step.py', model, threads))
    }
    const of = (all: Measured[], key: keyof Measured) => median(all.map(m => m[key] ?? Number.NaN))
    const step = of(ours, 'step')
    const run = of(ours, 'run')
    const peer = theirs.length > 0 ? of(theirs, 'step') : undefined
    const memory = of(ours, 'memory')
    const peerMemory = theirs.length > 0 ? of(theirs, 'memory') : undefined
    const rate = (ms: number) => (Number(values.batch) / ms) * 1000
    if (values.json) {
      const row = {
        model,
        threads: Number(threads),
        batch: Number(values.batch),
        step,
        run,
        update: of(ours, 'update'),
        build: of(ours, 'build')
      }
      console.log(
        JSON.stringify({ ...row, memory, pytorch: peer, pytorchMemory: peerMemory, ratio: peer === undefined ? undefined : peer / step })
      )
    }
    const cells = [
      model,
      threads,
      step.toFixed(1),
      run.toFixed(1),
      `${(100 * (1 - run / step)).toFixed(1)} %`,
      rate(step).toFixed(0),
      peer?.toFixed(1) ?? '-',
      peer === undefined ? '-' : rate(peer).toFixed(0),
      peer === undefined ? '-' : (peer / step).toFixed(2),
      megabytes(memory),
      peerMemory === undefined ? '-' : megabytes(peerMemory),
      `${of(ours, 'first').toFixed(3)}, ${of(ours, 'last').toFixed(3)}`
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
