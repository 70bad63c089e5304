import t from 'tap'
import { createRng, type Rng } from '../../../common/index.ts'
import { assertClose, distinct, normal } from '../reference/check.ts'
import { type Ref, ref } from '../reference/tensor.ts'
import { blobOf, checkTraining } from './check.ts'
import { conv, data, ip, layer, pool, softmaxLoss } from './nets.ts'

const seed = 4711
t.comment('seed', seed)

/** Loss over whatever the blob `y` holds. */
const end = ip('scores', 'y', 3) + softmaxLoss('loss', 'scores')

/** One output of Caffe's pooling, straight from its definition: windows rounded up, clipped to the padded height, then to the input. */
function pooled(x: Ref, kind: string, kernel: number, stride: number, pad: number): Ref {
  const [n, c, height, width] = x.shape
  const count = (size: number) => {
    const up = Math.ceil((size + 2 * pad - kernel) / stride) + 1
    return pad > 0 && (up - 1) * stride >= size + pad ? up - 1 : up
  }
  const out = ref([n, c, count(height), count(width)])
  let at = 0
  for (let plane = 0; plane < n * c; plane++) {
    for (let i = 0; i < out.shape[2]; i++) {
      for (let j = 0; j < out.shape[3]; j++) {
        const [top, left] = [i * stride - pad, j * stride - pad]
        const [bottom, right] = [Math.min(top + kernel, height + pad), Math.min(left + kernel, width + pad)]
        const values: number[] = []
        for (let a = Math.max(top, 0); a < Math.min(bottom, height); a++)
          for (let b = Math.max(left, 0); b < Math.min(right, width); b++) values.push(x.data[(plane * height + a) * width + b])
        out.data[at++] = kind === 'MAX' ? Math.max(...values) : values.reduce((s, v) => s + v, 0) / ((bottom - top) * (right - left))
      }
    }
  }
  return out
}

t.test('pooling rounds up, drops windows in the padding and averages over the clipped window', async t => {
  const rng = createRng(seed)
  for (let i = 0; i < 24; i++) {
    const kernel = 2 + rng.int(3)
    const stride = 1 + rng.int(Math.min(kernel, 3))
    const pad = rng.int(kernel)
    const kind = i % 2 === 0 ? 'MAX' : 'AVE'
    const x = distinct(rng, [2, 2, kernel + rng.int(7), kernel + rng.int(7)])
    const y = await blobOf({ net: data() + pool('y', 'data', kind, kernel, stride, pad) + end, data: x }, 'y')
    assertClose(`${kind} ${kernel}/${stride}/${pad} of ${x.shape}`, y, pooled(x, kind, kernel, stride, pad), 1e-5)
  }
  const all = layer('y', 'Pooling', 'data', 'y', 'pooling_param { pool: AVE global_pooling: true }')
  const x = normal(rng, [2, 3, 4, 5])
  const mean = ref(
    [2, 3, 1, 1],
    Array.from({ length: 6 }, (_, i) => x.data.subarray(20 * i, 20 * i + 20).reduce((a, b) => a + b) / 20)
  )
  assertClose('global', await blobOf({ net: data() + all + end, data: x }, 'y'), mean, 1e-5)
  t.pass()
})

t.test('normalisation across channels and within one', async t => {
  const rng = createRng(seed + 1)
  const x = normal(rng, [2, 7, 4, 5])
  const at = (n: number, c: number, i: number, j: number) =>
    c < 0 || c >= 7 || i < 0 || i >= 4 || j < 0 || j >= 5 ? 0 : x.data[((n * 7 + c) * 4 + i) * 5 + j]
  const each = (value: (n: number, c: number, i: number, j: number) => number) => {
    const y = ref(x.shape)
    for (let k = 0; k < y.data.length; k++) y.data[k] = value(Math.floor(k / 140), Math.floor(k / 20) % 7, Math.floor(k / 5) % 4, k % 5)
    return y
  }
  const around = [-1, 0, 1]
  const lrn = (rest: string) =>
    data() + layer('y', 'LRN', 'data', 'y', `lrn_param { local_size: 3 alpha: 0.3 beta: 0.7 k: 2 ${rest} }`) + end
  const across = each((n, c, i, j) => at(n, c, i, j) * (2 + 0.1 * around.reduce((s, d) => s + at(n, c + d, i, j) ** 2, 0)) ** -0.7)
  assertClose('across', await blobOf({ net: lrn(''), data: x }, 'y'), across, 1e-5)
  const within = each((n, c, i, j) => {
    const sum = around.flatMap(a => around.map(b => at(n, c, i + a, j + b) ** 2)).reduce((a, b) => a + b)
    return at(n, c, i, j) * (1 + (0.3 * sum) / 9) ** -0.7
  })
  assertClose('within', await blobOf({ net: lrn('norm_region: WITHIN_CHANNEL'), data: x }, 'y'), within, 1e-5)
  t.pass()
})

/** A bottom of the net, made by a convolution so that gradients flow through what comes behind it. */
const base = (rng: Rng, rest: string, shape = [2, 3, 5, 5]) => ({
  net: data() + conv('x', 'data', 4, 2) + rest,
  data: normal(rng, shape),
  labels: [0, 2],
  values: rest.includes('use_global_stats') ? statistics : {},
  seed
})

const statistics = { 'y.mean': ref([4], [1, 0, -1, 2]), 'y.variance': ref([4], [2, 3, 4, 5]), 'y.factor': ref([1], [2]) }

/** Nets in which each layer type stands between parameters and the loss. */
const cases: Record<string, string> = {
  'Convolution with groups, dilation and strides': layer(
    'y',
    'Convolution',
    'x',
    'y',
    'convolution_param { num_output: 6 kernel_h: 2 kernel_w: 1 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0 dilation: 2 group: 2 }'
  ),
  'Convolution of two bottoms': `${layer('two', 'Convolution', ['x', 'x'], ['a', 'b'], 'convolution_param { num_output: 2 kernel_size: 2 bias_term: false weight_filler { type: "xavier" } }')}${layer('y', 'Eltwise', ['a', 'b'], 'y')}`,
  Deconvolution: layer(
    'y',
    'Deconvolution',
    'x',
    'y',
    'convolution_param { num_output: 2 kernel_size: 3 stride: 2 pad: 1 group: 2 weight_filler { type: "xavier" } }'
  ),
  'InnerProduct, transposed': layer(
    'y',
    'InnerProduct',
    'x',
    'y',
    'inner_product_param { num_output: 5 transpose: true weight_filler { type: "xavier" } }'
  ),
  'InnerProduct from a later axis': layer(
    'y',
    'InnerProduct',
    'x',
    'y',
    'inner_product_param { num_output: 2 axis: -1 weight_filler { type: "gaussian" } }'
  ),
  'ReLU with a slope': layer('y', 'ReLU', 'x', 'y', 'relu_param { negative_slope: 0.1 }'),
  'ReLU in place': `${layer('r', 'ReLU', 'x', 'x')}${layer('y', 'Split', 'x', 'y')}`,
  PReLU: layer('y', 'PReLU', 'x', 'y'),
  'PReLU, shared': layer('y', 'PReLU', 'x', 'y', 'prelu_param { channel_shared: true filler { value: 0.1 } }'),
  ELU: layer('y', 'ELU', 'x', 'y', 'elu_param { alpha: 0.5 }'),
  Sigmoid: layer('y', 'Sigmoid', 'x', 'y'),
  TanH: layer('y', 'TanH', 'x', 'y'),
  AbsVal: layer('y', 'AbsVal', 'x', 'y'),
  BNLL: layer('y', 'BNLL', 'x', 'y'),
  Swish: layer('y', 'Swish', 'x', 'y', 'swish_param { beta: 1.5 }'),
  Clip: layer('y', 'Clip', 'x', 'y', 'clip_param { min: -0.5 max: 0.6 }'),
  Power: layer('y', 'Power', 'x', 'y', 'power_param { power: 2 scale: 0.5 shift: 0.1 }'),
  Exp: layer('y', 'Exp', 'x', 'y', 'exp_param { base: 2 scale: 0.5 shift: 0.1 }'),
  Log: `${layer('p', 'Power', 'x', 'p', 'power_param { power: 2 shift: 0.1 }')}${layer('y', 'Log', 'p', 'y', 'log_param { base: 10 shift: 1 }')}`,
  Softmax: layer('y', 'Softmax', 'x', 'y'),
  'Pooling, averages': pool('y', 'x', 'AVE', 3, 2, 1),
  'LRN across channels': layer('y', 'LRN', 'x', 'y', 'lrn_param { local_size: 3 alpha: 0.5 }'),
  'LRN within a channel': layer('y', 'LRN', 'x', 'y', 'lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }'),
  BatchNorm: layer('y', 'BatchNorm', 'x', 'y'),
  'BatchNorm and Scale in place': `${layer('b', 'BatchNorm', 'x', 'x')}${layer('s', 'Scale', 'x', 'x', 'scale_param { bias_term: true }')}${layer('y', 'Split', 'x', 'y')}`,
  'BatchNorm by running statistics': layer('y', 'BatchNorm', 'x', 'y', 'batch_norm_param { use_global_stats: true }'),
  'Scale by a blob': `${layer('p', 'Pooling', 'x', 'p', 'pooling_param { pool: AVE global_pooling: true }')}${layer('f', 'Flatten', 'p', 'f')}${layer('y', 'Scale', ['x', 'f'], 'y', 'scale_param { axis: 0 }')}`,
  'Scale over two axes, Bias of one': `${layer('s', 'Scale', 'x', 's', 'scale_param { num_axes: 2 filler { type: "gaussian" } }')}${layer('y', 'Bias', 's', 'y')}`,
  MVN: layer('y', 'MVN', 'x', 'y'),
  'MVN across channels, mean only': layer('y', 'MVN', 'x', 'y', 'mvn_param { across_channels: true normalize_variance: false }'),
  'Eltwise sum with factors': `${conv('z', 'data', 4, 2)}${layer('y', 'Eltwise', ['x', 'z', 'x'], 'y', 'eltwise_param { coeff: [1, -0.5, 2] }')}`,
  'Eltwise product': `${conv('z', 'data', 4, 2)}${layer('y', 'Eltwise', ['x', 'z', 'x'], 'y', 'eltwise_param { operation: PROD }')}`,
  'Eltwise maximum': `${conv('z', 'data', 4, 2)}${layer('y', 'Eltwise', ['x', 'z'], 'y', 'eltwise_param { operation: MAX }')}`,
  'Concat and Slice': `${layer('s', 'Slice', 'x', ['a', 'b', 'c'], 'slice_param { slice_point: 1 slice_point: 3 }')}${layer('y', 'Concat', ['c', 'a', 'c'], 'y')}${layer('q', 'Silence', 'b', [])}`,
  'Slice into equal parts of the last axis': `${layer('s', 'Slice', 'x', ['a', 'b'], 'slice_param { axis: -1 }')}${layer('y', 'Concat', ['b', 'a'], 'y', 'concat_param { axis: 2 }')}`,
  Flatten: `${layer('f', 'Flatten', 'x', 'f', 'flatten_param { axis: 2 }')}${layer('y', 'Flatten', 'f', 'y')}`,
  Reshape: `${layer('r', 'Reshape', 'x', 'r', 'reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 4 } }')}${layer('y', 'Reshape', 'r', 'y', 'reshape_param { axis: 1 num_axes: 2 shape { dim: -1 } }')}`,
  Reduction: `${layer('r', 'Reduction', 'x', 'r', 'reduction_param { axis: 2 operation: SUMSQ coeff: 0.5 }')}${layer('y', 'Split', 'r', 'y')}`,
  Tile: layer('y', 'Tile', 'x', 'y', 'tile_param { tiles: 2 }'),
  'shared parameters': `${layer('a', 'Convolution', 'x', 'a', 'param { name: "w" lr_mult: 3 } param { name: "b" } convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } }')}${layer('y', 'Convolution', 'a', 'y', 'param { name: "w" } param { name: "b" decay_mult: 0 } convolution_param { num_output: 4 kernel_size: 1 }')}`
}

for (const [name, text] of Object.entries(cases)) {
  t.test(`${name}: loss and gradients`, async t => {
    // Slices of an odd side and layers that need an even one find both: 5 − 2 + 1 = 4.
    t.ok(Number.isFinite(await checkTraining(base(createRng(seed), text + end), 4)), `seed ${seed}`)
  })
}

t.test('a blob that is read before it is written in place is read as it was', async t => {
  const rng = createRng(seed + 2)
  const net = [
    data(),
    layer('before', 'Power', 'data', 'before', 'power_param { scale: 2 }'),
    layer('in place', 'Power', 'data', 'data', 'power_param { shift: 10 }'),
    layer('again', 'Power', 'data', 'data', 'power_param { scale: 3 }'),
    layer('y', 'Eltwise', ['before', 'data'], 'y'),
    end
  ].join('')
  const x = normal(rng, [2, 4])
  assertClose(
    'y',
    await blobOf({ net, data: x }, 'y'),
    ref(
      [2, 4],
      x.data.map(v => 2 * v + 3 * (v + 10))
    ),
    1e-5
  )
  t.pass()
})

t.test('BatchNorm keeps sums of statistics as Caffe does, and tests by their means', async t => {
  const { evaluate } = await import('../reference/evaluate.ts')
  const { prepare } = await import('./check.ts')
  const rng = createRng(seed + 3)
  const net = data() + layer('y', 'BatchNorm', 'data', 'y', 'batch_norm_param { moving_average_fraction: 0.9 }') + end
  const states = ['y.mean', 'y.variance', 'y.factor']
  let values: Record<string, Ref> = {}
  let [mean, variance, factor] = [0, 0, 0]
  let x = normal(rng, [3, 1, 2, 2])
  for (let step = 0; step < 3; step++) {
    x = normal(rng, [3, 1, 2, 2], 1 + step)
    const { parts, feeds } = prepare({ net, data: x, labels: [0, 1, 2], values })
    const ran = evaluate(parts.train, feeds)
    values = Object.fromEntries(states.map((name, i) => [name, ran.get(parts.outputs.states[i])!]))
    const m = x.data.reduce((a, b) => a + b) / 12
    const v = x.data.reduce((a, b) => a + (b - m) ** 2, 0) / 11
    mean = 0.9 * mean + m
    variance = 0.9 * variance + v
    factor = 0.9 * factor + 1
  }
  assertClose(
    'states',
    ref(
      [3],
      states.map(s => values[s].data[0])
    ),
    ref([3], [mean, variance, factor]),
    1e-6
  )
  const y = await blobOf({ net, data: x, labels: [0, 1, 2], values }, 'y')
  const expected = ref(
    x.shape,
    x.data.map(v => (v - mean / factor) / Math.sqrt(variance / factor + 1e-5))
  )
  assertClose('y in TEST', y, expected, 1e-5)
  t.pass()
})
