import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname } from 'node:path'
import t from 'tap'
import { jobSpec } from '../../cli/job-spec.ts'

const wrong = { name: 'InvalidParametersError', exitCode: 2 }
const base = { model: 'lenet', data: 'digits' }

t.test('what is not given has a default', async t => {
  t.match(jobSpec(base, '/'), {
    model: 'lenet',
    data: 'digits',
    strategy: 'allreduce',
    trainers: 'all',
    batch: 32,
    lr: 0.01,
    optimizer: { name: 'sgd', momentum: 0.9 },
    schedule: { policy: 'fixed' },
    onSplit: 'wait',
    wait: false
  })
})

t.test('exactly one of the two batches is in the specification', async t => {
  t.match(jobSpec({ ...base, globalBatch: 128 }, '/'), { globalBatch: 128, batch: undefined })
  const earlier = jobSpec({ ...base, globalBatch: 128 }, '/')
  t.match(jobSpec({}, '/', earlier), { globalBatch: 128, batch: undefined }, 'a resumed run keeps its kind')
  t.match(jobSpec({ batch: 16 }, '/', earlier), { globalBatch: undefined, batch: 16 }, 'unless told otherwise')
  t.throws(() => jobSpec({ ...base, batch: 1, globalBatch: 2 }, '/'), wrong)
  t.throws(() => jobSpec({ ...base, globalBatch: 2, scaleLr: true }, '/'), wrong)
})

t.test('a resumed run is changed only in what is named', async t => {
  const earlier = jobSpec({ ...base, lr: 0.1, schedule: 'step', stepSize: 50, seed: 7, name: 'first' }, '/')
  const spec = jobSpec({ epochs: 9 }, '/', earlier)
  t.same(spec, { ...earlier, epochs: 9 })
  t.same(jobSpec({ gamma: 0.5 }, '/', earlier).schedule, { policy: 'step', gamma: 0.5, stepSize: 50 })
  t.same(jobSpec({ schedule: 'fixed' }, '/', earlier).schedule, { policy: 'fixed' })
})

t.test('a schedule takes what belongs to it', async t => {
  t.same(jobSpec({ ...base, schedule: 'step', stepSize: 100 }, '/').schedule, { policy: 'step', gamma: 0.1, stepSize: 100 })
  t.throws(() => jobSpec({ ...base, schedule: 'step' }, '/'), { ...wrong, message: /--step-size/ })
  t.throws(() => jobSpec({ ...base, gamma: 0.5 }, '/'), { ...wrong, message: /--gamma does not belong to --schedule fixed/ })
  t.same(jobSpec({ ...base, schedule: 'multistep', stepValues: [5, 9] }, '/').schedule, {
    policy: 'multistep',
    gamma: 0.1,
    stepValues: [5, 9]
  })
  t.same(jobSpec({ ...base, schedule: 'inv', gamma: 1e-4, power: 0.75 }, '/').schedule, { policy: 'inv', gamma: 1e-4, power: 0.75 })
  t.same(jobSpec({ ...base, schedule: 'poly', maxSteps: 90 }, '/').schedule, { policy: 'poly', power: 1, maxSteps: 90 })
  t.same(jobSpec({ ...base, schedule: 'cosine', maxSteps: 90, minRate: 0.1, warmUp: 5, warmUpFrom: 0.5 }, '/').schedule, {
    ...{ policy: 'cosine', maxSteps: 90, min: 0.1 },
    warmUp: { steps: 5, from: 0.5 }
  })
  t.throws(() => jobSpec({ ...base, schedule: 'inv' }, '/'), { ...wrong, message: /needs --gamma and --power/ })
  t.throws(() => jobSpec({ ...base, schedule: 'exp', gamma: -1 }, '/'), { ...wrong, message: /'gamma'/ })
  t.throws(() => jobSpec({ ...base, warmUpFrom: 0.5 }, '/'), { ...wrong, message: /--warm-up/ })
  const earlier = jobSpec({ ...base, warmUp: 5 }, '/')
  t.same(jobSpec({ warmUp: 7 }, '/', earlier).schedule, { policy: 'fixed', warmUp: { steps: 7 } })
})

t.test('an optimizer takes what belongs to it', async t => {
  t.same(jobSpec({ ...base, optimizer: 'adam', beta1: 0.8, clipNorm: 1 }, '/').optimizer, { name: 'adam', beta1: 0.8, clipNorm: 1 })
  t.same(jobSpec({ ...base, optimizer: 'adamw' }, '/').optimizer, { name: 'adamw', weightDecay: 0.01 })
  t.same(jobSpec({ ...base, optimizerForm: 'caffe' }, '/').optimizer, { name: 'sgd', momentum: 0.9, form: 'caffe' })
  t.throws(() => jobSpec({ ...base, optimizer: 'adam', momentum: 0.5 }, '/'), {
    ...wrong,
    message: /--momentum does not belong to --optimizer adam, which takes --beta1/
  })
  t.throws(() => jobSpec({ ...base, nesterov: true, momentum: 0 }, '/'), { ...wrong, message: /needs a momentum/ })
  const earlier = jobSpec({ ...base, optimizer: 'rmsprop', rho: 0.5 }, '/')
  t.same(jobSpec({ l1: 0.1 }, '/', earlier).optimizer, { name: 'rmsprop', rho: 0.5, l1: 0.1 })
  t.same(jobSpec({ optimizer: 'sgd' }, '/', earlier).optimizer, { name: 'sgd', momentum: 0.9 }, 'another optimizer begins anew')
})

t.test('a folder in --data is made absolute where it is there', async t => {
  const folder = mkdtempSync(`${tmpdir()}/gm-`)
  t.teardown(() => rmSync(folder, { recursive: true }))
  const data = (text: string) => jobSpec({ ...base, data: text }, dirname(folder)).data
  t.equal(data(`idx:${basename(folder)}`), `idx:${folder}`)
  t.equal(data(`idx:./${basename(folder)}?classes=10`), `idx:${folder}?classes=10`)
  t.equal(data('idx:of-the-node'), 'idx:of-the-node', 'another may lie under the data roots of the node')
  t.equal(data('digits?train=100'), 'digits?train=100')
})

t.test('a model and data must be named', async t => {
  t.throws(() => jobSpec({ data: 'digits' }, '/'), { ...wrong, message: /--model is missing/ })
  t.throws(() => jobSpec({ model: 'lenet' }, '/'), { ...wrong, message: /--data is missing/ })
})

t.test("a strategy's options go with it, and not with another", async t => {
  const earlier = jobSpec({ ...base, strategy: 'local-sgd', strategyOption: { h: 4 } }, '/')
  t.same(earlier.strategyOptions, { h: 4 })
  t.same(jobSpec({ strategyOption: { 'average-optimizer': true } }, '/', earlier).strategyOptions, { h: 4, 'average-optimizer': true })
  t.equal(jobSpec({ strategy: 'gossip' }, '/', earlier).strategyOptions, undefined)
  t.same(jobSpec({ ...base, codec: 'int8', aggregate: 'median' }, '/').strategyOptions, { codec: 'int8', aggregate: 'median' })
})
