import t from 'tap'
import { filterLayers, type NetState, stateOf } from '../../../models/caffe/filter.ts'
import { parseText } from '../../../models/caffe/text.ts'
import { upgradeNet } from '../../../models/caffe/upgrade.ts'

const net = (text: string) => parseText(text, 'NetParameter', 'net.prototxt')
const state = (text: string) => parseText(text, 'NetState', 'state')
const kept = (text: string, of: Partial<NetState>) =>
  filterLayers(net(text), { phase: 'TRAIN', level: 0, stages: [], ...of }).map(l => l.string('name'))

t.test('a layer is in when any of its include rules matches, or no exclude rule does', async t => {
  const text = `
    layer { name: "always" }
    layer { name: "train" include { phase: TRAIN } }
    layer { name: "test" include { phase: TEST } }
    layer { name: "either" include { phase: TEST stage: "deploy" } include { min_level: 2 } }
    layer { name: "not test" exclude { phase: TEST } }
    layer { name: "stages" include { stage: "a" stage: "b" not_stage: "c" } }
    layer { name: "levels" include { min_level: 1 max_level: 3 } }`
  t.strictSame(kept(text, {}), ['always', 'train', 'not test'])
  t.strictSame(kept(text, { phase: 'TEST' }), ['always', 'test'])
  t.strictSame(kept(text, { phase: 'TEST', stages: ['deploy'] }), ['always', 'test', 'either'])
  t.strictSame(kept(text, { level: 3 }), ['always', 'train', 'either', 'not test', 'levels'])
  t.strictSame(kept(text, { stages: ['b', 'a'] }), ['always', 'train', 'not test', 'stages'])
  t.strictSame(kept(text, { stages: ['b', 'a', 'c'] }), ['always', 'train', 'not test'])
  t.throws(() => kept('layer {\n name: "x" include {} exclude {} }', {}), {
    name: 'MalformedError',
    message: /^net\.prototxt:1:7: layer 'x'/
  })
})

t.test("a solver's state counts over the net's, stages of both together", async t => {
  t.strictSame(stateOf('TEST'), { phase: 'TEST', level: 0, stages: [] })
  t.strictSame(stateOf('TRAIN', state('level: 2 stage: "a"'), state('stage: "b" level: 0')), {
    phase: 'TRAIN',
    level: 0,
    stages: ['a', 'b']
  })
  t.equal(stateOf('TRAIN', state('phase: TEST')).phase, 'TEST')
})

t.test('V1 layers become layers of today', async t => {
  const [conv, loss] = upgradeNet(
    net(`layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
           param: "shared" include { phase: TRAIN } convolution_param { num_output: 4 kernel_size: 3 } }
         layers { name: "loss" type: SOFTMAX_LOSS bottom: "conv" bottom: "label" }`)
  ).messages('layer')
  t.equal(conv.string('type'), 'Convolution')
  t.equal(conv.message('convolution_param').number('num_output'), 4)
  t.strictSame(
    conv.messages('param').map(p => [p.string('name'), p.number('lr_mult'), p.number('decay_mult')]),
    [
      ['shared', 1, 1],
      ['', 2, 0]
    ]
  )
  t.equal(conv.messages('include').length, 1)
  t.equal(loss.string('type'), 'SoftmaxWithLoss')
  t.equal(loss.has('param'), false)
})

t.test('older forms are upgraded or refused by name', async t => {
  const [input, data] = upgradeNet(
    net('input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9 layer { type: "Data" data_param { scale: 0.5 mirror: true } }')
  ).messages('layer')
  t.strictSame([input.string('type'), input.string('name')], ['Input', 'x'])
  t.strictSame(input.message('input_param').messages('shape')[0].numbers('dim'), [1, 3, 8, 9])
  t.strictSame([data.message('transform_param').number('scale'), data.message('transform_param').bool('mirror')], [0.5, true])
  const refused = (text: string, message: RegExp) => t.throws(() => upgradeNet(net(text)), { name: 'MalformedError', message })
  refused('layers { layer { name: "c1" type: "conv" } }', /^net\.prototxt:1:8: layer 'c1' of type 'conv' is of the oldest format/)
  refused('layer {} layers {}', /^net\.prototxt:1:17: a net has either/)
  refused('layers { name: "n" }', /'n' has no type/)
  refused('input: "x" input_dim: 1', /four numbers an input/)
  refused('layer { type: "Data" transform_param { scale: 2 } data_param { scale: 2 } }', /'scale' is given here and in/)
})
