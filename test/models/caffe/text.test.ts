import { globSync } from 'node:fs'
import t from 'tap'
import { createRng, GradmeshError } from '../../../common/index.ts'
import { printText } from '../../../models/caffe/print.ts'
import { messageTypes } from '../../../models/caffe/schema.ts'
import { parseText } from '../../../models/caffe/text.ts'
import { caffeFile, caffeFolder, needsCaffeFiles } from './files.ts'
import { plain, randomMessage } from './random.ts'

const net = (text: string) => parseText(text, 'NetParameter', 'net.prototxt')

t.test('values of every kind, comments, lists and both kinds of brackets are read', async t => {
  const read = net(`# a net
    name: "two" 'parts' layer { name: "\\x41\\102\\n" type: 'Pooling' # the rest of the line
      bottom: ["a", "b"], top: "c"; loss_weight: [0.3, 1e-2, -.5f, inf]
      pooling_param < pool: AVE kernel_size: 0x10 stride: 010 global_pooling: t >
      include: { phase: 1 min_level: -3 } propagate_down: [] }
    layer {}`)
  const [layer] = read.messages('layer')
  t.equal(read.string('name'), 'twoparts')
  t.equal(layer.string('name'), 'AB\n')
  t.strictSame(layer.strings('bottom'), ['a', 'b'])
  t.strictSame(layer.numbers('loss_weight'), [0.3, 0.01, -0.5, Number.POSITIVE_INFINITY])
  const pool = layer.message('pooling_param')
  t.strictSame([pool.string('pool'), pool.number('kernel_size'), pool.number('stride'), pool.bool('global_pooling')], ['AVE', 16, 8, true])
  t.strictSame([layer.messages('include')[0].string('phase'), layer.messages('include')[0].number('min_level')], ['TEST', -3])
  t.strictSame([layer.bools('propagate_down'), layer.has('propagate_down')], [[], false])
})

t.test('absent fields have the defaults of caffe.proto', async t => {
  const [layer] = net('layer { }').messages('layer')
  t.equal(layer.message('convolution_param').bool('bias_term'), true)
  t.equal(layer.message('convolution_param').message('weight_filler').string('type'), 'constant')
  t.equal(layer.message('convolution_param').message('weight_filler').number('std'), 1)
  t.equal(layer.message('dropout_param').number('dropout_ratio'), 0.5)
  t.equal(layer.message('hinge_loss_param').string('norm'), 'L1')
  t.equal(layer.string('phase'), 'TRAIN')
  t.equal(parseText('', 'SolverParameter', 'x').number('momentum2'), 0.999)
})

t.test('what is wrong is named with file, line and column', async t => {
  const cases: [text: string, message: RegExp][] = [
    ['layer {\n  name: "a"\n  kernel: 3\n}', /^net\.prototxt:3:3: LayerParameter has no field 'kernel'; remove it$/],
    ['layer { relu_parm {} }', /^net\.prototxt:1:9: .*did you mean 'relu_param'\?$/],
    ['layer {\n name: "a"', /^net\.prototxt:1:7: the file ends before the '}'/],
    ['name: "a"\n}', /^net\.prototxt:2:1: a field of NetParameter must come here, not '}'$/],
    ['layer < name: "a" }', /:1:19: .*not '}'$/],
    ['layer { include { phase: TRIAN } }', /:1:26: 'phase' takes one of TRAIN, TEST, not 'TRIAN'$/],
    ['layer { include { phase: 2 } }', /:1:26: 'phase' takes one of TRAIN, TEST, not '2'$/],
    ['layer { include { phase: "TRAIN" } }', /:1:26: 'phase' takes one of/],
    ['layer { name: "a" name: "b" }', /:1:19: 'name' is given twice$/],
    ['layer { convolution_param { num_output: 2 num_output: 3 } }', /'num_output' is given twice/],
    ['name: "a\n"', /:1:7: the string is not closed$/],
    ['name: "a', /:1:7: the string is not closed$/],
    ['name: "\\q"', /:1:8: .*escape/],
    ['name: a', /:1:7: 'name' takes a string in quotes, not 'a'$/],
    ['name "a"', /:1:6: a ':' must follow 'name', not '"?a"?'$/],
    ['input_dim: 1.5', /'input_dim' takes a whole number, not '1.5'$/],
    ['input_dim: 99999999999999999999', /'input_dim' takes a whole number/],
    ['input_dim: --1', /takes a whole number, not '-' and '-'$/],
    ['input_dim: 09', /takes a whole number/],
    ['layer { loss_weight: x }', /'loss_weight' takes a number, not 'x'$/],
    ['layer { loss_weight: [1 2] }', /',' or '\]' must follow/],
    ['force_backward: 2', /'force_backward' takes true or false, not '2'$/],
    ['layer 5', /'{' must follow 'layer', not '5'$/],
    ['layer:', /'{' must follow 'layer', not the end of the file$/],
    ['[caffe.extra]: 1', /must come here, not '\['$/],
    ['layer { name: "a" } @', /:1:21: .*not '@'$/]
  ]
  for (const [text, message] of cases) t.throws(() => net(text), { name: 'MalformedError', exitCode: 2, message }, text)
})

t.test('depth and size are bounded', async t => {
  const deep = (n: number) => `layer { ${'lrn_param {} '.repeat(0)}${'include {'.repeat(n)}${'}'.repeat(n)} }`
  t.throws(() => net(deep(100_000)), { name: 'MalformedError' })
  t.throws(() => net(' '.repeat(17 * 1024 * 1024)), { name: 'TooLargeError', message: /^net\.prototxt has 17825792 characters/ })
  const solver = 'net_param { layers { layer { name: "old" } } }'
  t.equal(parseText(solver, 'SolverParameter', 's').message('net_param').messages('layers')[0].message('layer').string('name'), 'old')
})

t.test('what is printed reads back as it was', async t => {
  const seed = 20_261
  const rng = createRng(seed)
  for (let i = 0; i < 60; i++) {
    const message = randomMessage(rng, i < messageTypes.length ? messageTypes[i] : 'NetParameter', false)
    const text = printText(message)
    t.same(plain(parseText(text, message.type.name, 'printed')), plain(message), `seed ${seed}, case ${i}: ${message.type.name}`)
  }
})

t.test('damaged text is refused by a known error or read, never anything else', async t => {
  const seed = 977
  const rng = createRng(seed)
  const whole = printText(randomMessage(rng, 'NetParameter', false)) + printText(randomMessage(rng, 'NetParameter', false))
  const pieces = [
    '{',
    '}',
    '"',
    "'",
    '\\',
    ':',
    '[',
    ']',
    '<',
    '>',
    '#',
    '\n',
    '\0',
    '-',
    '9e',
    '0x',
    '.',
    'layer',
    'phase: TRAIN',
    'ÿ',
    '\ud800'
  ]
  let refused = 0
  for (let i = 0; i < 400; i++) {
    let text = whole.slice(rng.int(200), 200 + rng.int(Math.min(whole.length, 4000)))
    for (let k = rng.int(4); k >= 0; k--) {
      const at = rng.int(text.length + 1)
      text = text.slice(0, at) + pieces[rng.int(pieces.length)] + text.slice(at + rng.int(3))
    }
    try {
      parseText(text, 'NetParameter', 'fuzz.prototxt')
    } catch (error) {
      refused++
      if (!(error instanceof GradmeshError) || !/^fuzz\.prototxt:\d+:\d+: [^\n]+$/.test(error.message)) {
        t.fail(`seed ${seed}, case ${i}: ${error}`, { text })
      }
    }
  }
  t.ok(refused > 100, `seed ${seed}: ${refused} of 400 refused`)
})

t.test("Caffe's own files are read whole and print to what reads the same", needsCaffeFiles, async t => {
  const names = globSync('*/*.prototxt', { cwd: caffeFolder })
  t.ok(names.length >= 9)
  for (const name of names) {
    const read = parseText(caffeFile(name), name.includes('solver') ? 'SolverParameter' : 'NetParameter', name)
    t.same(plain(parseText(printText(read), read.type.name, name)), plain(read), name)
  }
})
