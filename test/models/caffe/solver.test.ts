import t from 'tap'
import { isSolver, parseSolver } from '../../../models/caffe/index.ts'
import { caffeFile, needsCaffeFiles } from './files.ts'

const least = 'net: "n" base_lr: 0.1 max_iter: 100 lr_policy: "fixed"'
const parse = (more: string, base = least) => parseSolver(`${base}\n${more}`, 'solver.prototxt')

t.test('a solver has the defaults of caffe.proto', async t => {
  const solver = parse('')
  t.same(solver.train, { file: 'n', at: 'solver.prototxt:1:1' })
  t.match(solver, {
    update: { type: 'SGD', momentum: 0 },
    policy: { policy: 'fixed' },
    baseRate: 0.1,
    weightDecay: 0,
    regularization: 'L2',
    maxIter: 100,
    iterSize: 1,
    testFirst: true,
    weights: [],
    notes: []
  })
  for (const absent of ['clip', 'testIter', 'testInterval', 'display', 'snapshot', 'seed'] as const)
    t.equal(solver[absent], undefined, absent)
})

t.test('types and policies', async t => {
  const type = (text: string) => parse(text).update
  t.same(type('type: "Nesterov" momentum: 0.9'), { type: 'Nesterov', momentum: 0.9 })
  t.same(type('solver_type: ADAM momentum: 0.9 delta: 1e-6'), { type: 'Adam', momentum: 0.9, momentum2: 0.999, delta: 1e-6 })
  t.same(type('type: "AdaDelta" momentum: 0.95'), { type: 'AdaDelta', momentum: 0.95, delta: 1e-8 })
  t.same(type('type: "RMSProp"'), { type: 'RMSProp', decay: 0.99, delta: 1e-8 })
  t.same(type('type: "AdaGrad" delta: 1e-4'), { type: 'AdaGrad', delta: 1e-4 })
  const policy = (text: string) => parseSolver(`net: "n" base_lr: 1 max_iter: 9 ${text}`, 's').policy
  t.same(policy('lr_policy: "step" gamma: 0.5 stepsize: 3'), { policy: 'step', gamma: 0.5, stepSize: 3 })
  t.same(policy('lr_policy: "multistep" gamma: 0.5 stepvalue: 3 stepvalue: 5'), { policy: 'multistep', gamma: 0.5, stepValues: [3, 5] })
  t.same(policy('lr_policy: "exp" gamma: 0.99'), { policy: 'exp', gamma: 0.99 })
  t.same(policy('lr_policy: "inv" gamma: 0.1 power: 0.75'), { policy: 'inv', gamma: 0.1, power: 0.75 })
  t.same(policy('lr_policy: "poly" power: 0.5'), { policy: 'poly', power: 0.5, maxSteps: 9 })
  t.same(policy('lr_policy: "sigmoid" gamma: -0.1 stepsize: 4'), { policy: 'sigmoid', gamma: -0.1, stepSize: 4 })
})

t.test('nets by name or within, with states', async t => {
  const inline =
    'base_lr: 1 max_iter: 9 lr_policy: "fixed" train_net_param { input: "x" } test_net: "t" test_iter: 2 test_state { stage: "s" }'
  const solver = parseSolver(inline, 's')
  t.ok('net' in solver.train && solver.train.net.messages('layer')[0].string('type') === 'Input')
  t.match(solver.test, { file: 't' })
  t.same(solver.testState?.strings('stage'), ['s'])
})

t.test('what is wrong is named', async t => {
  const refused = (text: string, message: RegExp, base = least) =>
    t.throws(() => parse(text, base), { name: 'MalformedError', exitCode: 2, message }, text)
  refused('moment: 0.9', /^solver\.prototxt:2:1: SolverParameter has no field 'moment'/)
  refused('type: "Lion"', /no solver type 'Lion'; there are SGD, Nesterov/)
  refused('momentum: 1', /'momentum' must be at least 0 and below 1/)
  refused('type: "AdaGrad" momentum: 0.9', /momentum cannot be used with AdaGrad/)
  refused('type: "SGD" solver_type: SGD', /older 'solver_type'/)
  refused('regularization_type: "L3"', /L1 or L2/)
  refused('train_net: "other"', /train_net and net do/)
  refused('test_net: "a" test_net: "b"', /only one net can be tested/)
  refused('test_interval: 10', /'test_interval' needs 'test_iter'/)
  refused('iter_size: 0', /'iter_size' must be 1 or more/)
  refused('', /none does/, 'base_lr: 1 max_iter: 1 lr_policy: "fixed"')
  refused('', /'max_iter' is missing/, 'net: "n" base_lr: 1 lr_policy: "fixed"')
  refused('', /'base_lr'/, 'net: "n" max_iter: 1 lr_policy: "fixed"')
  refused('', /'lr_policy' is missing/, 'net: "n" base_lr: 1 max_iter: 1')
  refused('', /no lr_policy 'cyclic'/, 'net: "n" base_lr: 1 max_iter: 1 lr_policy: "cyclic"')
  refused('', /"step" needs 'stepsize'/, 'net: "n" base_lr: 1 max_iter: 1 lr_policy: "step" gamma: 0.1')
})

t.test('a solver is told from a net by its fields', async t => {
  t.equal(isSolver('# comment\nnet: "x"'), true)
  t.equal(isSolver('debug_info: true\nbase_lr: 1'), true)
  t.equal(isSolver('name: "x"\nlayer { }'), false)
  t.equal(isSolver('layer {\n  data_param {\n    source: "s" } }'), false)
  t.equal(isSolver(''), false)
})

t.test("Caffe's own solvers", needsCaffeFiles, async t => {
  const read = (name: string) => parseSolver(caffeFile(name), name)
  t.match(read('mnist/lenet_solver.prototxt'), {
    policy: { policy: 'inv', gamma: 0.0001, power: 0.75 },
    update: { type: 'SGD', momentum: 0.9 },
    maxIter: 10_000,
    testIter: 100,
    testInterval: 500,
    display: 100,
    snapshot: 5000,
    testFirst: true
  })
  t.match(read('cifar10/cifar10_quick_solver.prototxt'), { baseRate: 0.001, maxIter: 4000 })
  t.match(read('cifar10/cifar10_quick_solver_lr1.prototxt'), { baseRate: 0.0001, maxIter: 5000, notes: [/HDF5/] })
  t.match(read('bvlc_googlenet/quick_solver.prototxt'), { policy: { policy: 'poly', power: 0.5, maxSteps: 2_400_000 }, testFirst: false })
  t.match(read('bvlc_alexnet/solver.prototxt'), { policy: { policy: 'step', gamma: 0.1, stepSize: 100_000 } })
})
