import fc from 'fast-check'
import t from 'tap'
import { buildDescription } from '../../models/description/index.ts'
import {
  buildModel,
  describeModel,
  layers,
  layerTypes,
  type Model,
  modelInput,
  modelNames,
  parameterLayout,
  parseDescription,
  printJson,
  printYaml
} from '../../models/index.ts'
import { encodeGraph } from '../../models/onnx/encode.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
t.comment('seed', seed)

const bytes = (model: Model) => Buffer.from(encodeGraph(buildDescription(model)))

t.test('the zoo survives YAML and JSON: the same graph to the byte', async t => {
  for (const name of modelNames) {
    const model = describeModel(name, modelInput(name))
    const expected = Buffer.from(encodeGraph(buildModel(name, modelInput(name))))
    for (const print of [printYaml, printJson]) {
      const read = parseDescription(print({ model }), name)
      t.strictSame(read.model, model, name)
      t.ok(expected.equals(Buffer.from(encodeGraph(read.build()))), name)
    }
  }
})

/** Random models out of layers that keep pictures pictures, and a classifier at the end. */
const random = fc
  .record({
    shape: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 6, max: 12 }), fc.integer({ min: 6, max: 12 })),
    steps: fc.array(
      fc.oneof(
        fc.record({
          type: fc.constant('convolution' as const),
          outputs: fc.integer({ min: 1, max: 5 }),
          kernel: fc.constantFrom(1, 3),
          pad: fc.constant(1)
        }),
        fc.record({ type: fc.constant('maxPool' as const), kernel: fc.constantFrom(1, 2), stride: fc.constant(1), ceil: fc.boolean() }),
        fc.record({ type: fc.constantFrom('relu' as const, 'tanh' as const, 'gelu' as const) }),
        fc.record({ type: fc.constant('batchNorm' as const), momentum: fc.double({ min: 0, max: 1, noNaN: true }) }),
        fc.record({ type: fc.constant('dropout' as const), ratio: fc.double({ min: 0, max: 0.9, noNaN: true }) }),
        fc.record({ type: fc.constant('add' as const) })
      ),
      { maxLength: 6 }
    ),
    lrMult: fc.double({ min: 0, max: 10, noNaN: true }),
    classes: fc.integer({ min: 1, max: 9 })
  })
  .map(({ shape, steps, lrMult, classes }) => {
    const b = layers('random', shape)
    steps.forEach((step, i) => {
      const name = `layer ${i}: "${step.type}"`
      if (step.type === 'add') b.layer('add', name, { inputs: [b.last, b.last], activation: 'relu' })
      else b.layer(step.type, name, step as never)
    })
    b.innerProduct('#last', { outputs: classes, lrMult, weight: { filler: { type: 'gaussian', std: 0.1 } } })
    return { model: b.describe(), graph: b.build('logits') }
  })

t.test('what the builder builds, its description builds, after YAML and JSON too', async () => {
  fc.assert(
    fc.property(random, ({ model, graph }) => {
      const expected = Buffer.from(encodeGraph(graph))
      for (const print of [printYaml, printJson]) {
        const text = print({ model, seed: 7 })
        const read = parseDescription(text, 'random')
        if (read.seed !== 7 || !expected.equals(bytes(read.model))) throw new Error(`another graph from\n${text}`)
      }
    }),
    { seed, numRuns: 60 }
  )
})

t.test('a graph of named layers stands in any order', async t => {
  const read = parseDescription(
    `
input: [1, 8, 8]
graph:
  sum: {type: add, inputs: [left, right]}
  scores: {type: innerProduct, inputs: sum, outputs: classes}
  left: {type: convolution, outputs: 3, kernel: 3, activation: relu, lrMult: 0.5}
  right: {type: convolution, outputs: 3, kernel: 3, bias: false, weight: {filler: msra, decayMult: 2}, decayMult: 3}
outputs: [scores]
seed: 5
training: {updater: {type: sgd, lr: 0.1, momentum: 0.9}, schedule: {policy: step, gamma: 0.5, stepSize: 10}, l2: 0.001, batch: 16}
`,
    'net.yaml'
  )
  const graph = read.build({ classes: 4 })
  t.strictSame(graph.types.get('logits')?.shape, ['N', 4])
  const { parameters } = parameterLayout(graph)
  t.strictSame(
    parameters.map(p => [p.name, p.lrMult, p.decayMult, p.filler.type]),
    [
      ['left.weight', 0.5, 1, 'xavier'],
      ['left.bias', 0.5, 1, 'constant'],
      ['right.weight', 1, 6, 'msra'],
      ['scores.weight', 1, 1, 'xavier'],
      ['scores.bias', 1, 1, 'constant']
    ]
  )
  t.equal(read.seed, 5)
  t.strictSame(read.training?.updater, { type: 'sgd', lr: 0.1, momentum: 0.9 })
})

t.test('defaults hold for layers that say nothing else', async t => {
  const model: Model = {
    input: [4],
    defaults: { activation: 'tanh', filler: { type: 'constant', value: 2 }, lrMult: 3 },
    layers: [
      { type: 'innerProduct', outputs: 3 },
      { type: 'innerProduct', outputs: 2, activation: 'identity', lrMult: 1, weight: { filler: { type: 'msra' } } }
    ]
  }
  const graph = buildDescription(model)
  t.strictSame(
    graph.nodes.map(n => n.op),
    ['Gemm', 'Tanh', 'Gemm']
  )
  t.strictSame(
    parameterLayout(graph).parameters.map(p => [p.filler.type, p.lrMult]),
    [
      ['constant', 3],
      ['constant', 3],
      ['msra', 1],
      ['constant', 1]
    ]
  )
})

const wrong: [text: string, message: RegExp][] = [
  ['layers: [', /^net:1:10: /],
  ['', /^net:1:1: the description must be a mapping/],
  ['layer: []', /^net:1:1: .*'layer'; did you mean 'layers'\?/],
  ['layers:\n  - {type: relu}\n  - {type: convoluton}', /^net:3:12: .*'convoluton'.*did you mean 'convolution'/],
  ['layers:\n  - type: convolution\n    kernal: 3', /^net:3:5: .*\(convolution\) has no field 'kernal'; did you mean 'kernel'/],
  ['layers:\n  - {type: convolution, kernel: 3}', /^net:2:5: .* lacks 'outputs', a number or 'classes'/],
  ['layers:\n  - {type: convolution, outputs: ten, kernel: 3}', /^net:2:34: layers\[0\]\.outputs must be a number or 'classes', not 'ten'/],
  ['layers:\n  - {type: innerProduct, outputs: 3, weight: {filler: xaver}}', /^net:2:55: .*'xaver'.*'xavier'/],
  ['layers:\n  - {type: innerProduct, outputs: 3, lrMult: -1}', /^net:2:46: .*at least 0/],
  ['input: [4]\nlayers: [{type: relu}]\ntraining: {updater: {type: sgd, moment: 1}}', /^net:3:33: .*'moment'.*'momentum'/],
  ['input: [4]\nlayers: [{type: relu, name: a}]\ngraph: {a: {type: relu}}', /^net:1:1: .*either layers or a graph/],
  ['a: 1\na: 2', /^net:2:1: 'a' is there twice/],
  ['? [a]: b', /^net:1:3: a key must be a text/],
  ['__proto__: 1', /^net:1:1: .*__proto__/],
  ['--- 1\n--- 2', /^net:2:1: /],
  ['!!python/object x', /^net:1:1: /],
  ['input: [4]\ngraph:\n  a: {type: relu, inputs: b}\n  b: {type: relu, inputs: a}', /^net:3:6: .*cycle/],
  ['input: [4]\nlayers:\n  - {type: relu, name: conv}\n  - {type: relu, inputs: convv}', /^net:4:5: .*reads 'convv'.*did you mean 'conv'/],
  ['input: [1, 4, 4]\nlayers: [{type: relu, name: a}, {type: relu, name: a}]', /^net:2:33: two layers or values are called 'a'/],
  [
    'input: [1, 4, 4]\nlayers: [{type: convolution, outputs: 3, kernel: 9, name: q}]',
    /^net:2:10: layer 'q' does not fit its input: .*window/
  ],
  ['layers: [{type: relu}]', /^net: .*does not say what samples it takes/]
]

t.test('what is wrong is named with file, line and column, and the nearest key', async t => {
  for (const [text, message] of wrong) {
    t.throws(() => parseDescription(text, 'net').build(), { name: /^(InvalidParameters|Malformed)Error$/, message, exitCode: 2 }, text)
  }
})

t.test('documents that grow when they are read are refused quickly', async t => {
  let bomb = 'a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n'
  for (let i = 1; i < 12; i++) bomb += `a${i}: &a${i} [${new Array(8).fill(`*a${i - 1}`).join(', ')}]\n`
  t.throws(() => parseDescription(bomb, 'net'), { name: 'MalformedError', message: /^net: .*alias/ })
  t.throws(() => parseDescription('['.repeat(100_000), 'net'), { name: 'MalformedError', message: /^net:1:65: .*brackets/ })
  t.throws(() => parseDescription('- '.repeat(50_000), 'net'), { name: 'MalformedError' })
  t.throws(() => parseDescription(' '.repeat(2_000_000), 'net'), { name: 'TooLargeError', message: /^net has 2000000 characters/ })
  const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}: 1`).join('\n')
  t.throws(() => parseDescription(keys, 'net'), { message: /^net:1:1: .*'k0'/ })
})

t.test('changed text never does more than be refused in one line', async () => {
  const text = printYaml({ model: describeModel('lenet', modelInput('lenet')), seed: 1 })
  const changes = fc.array(
    fc.record({
      at: fc.nat(text.length),
      cut: fc.nat(8),
      put: fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('- ', '{', ']', ': ', '&a ', '*a', '\n', '\t', ...layerTypes))
    }),
    { minLength: 1, maxLength: 4 }
  )
  fc.assert(
    fc.property(changes, all => {
      const changed = all.reduce((s, { at, cut, put }) => s.slice(0, at) + put + s.slice(at + cut), text)
      try {
        parseDescription(changed, 'net').build()
      } catch (error) {
        const { name, message } = error as Error
        if (!/^(InvalidParameters|Malformed|TooLarge)Error$/.test(name) || message.includes('\n'))
          throw new Error(`${name}: ${message}\n${changed}`, { cause: error })
      }
    }),
    { seed, numRuns: 150 }
  )
})
