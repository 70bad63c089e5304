import type { Call, Operator } from './node.ts'
import { forEachIndex, offset, type Ref, ref, size, strides } from './tensor.ts'

interface Geometry {
  kernel: number[]
  stride: number[]
  dilation: number[]
  begin: number[]
  end: number[]
  out: number[]
}

function geometry(c: Call, spatial: number[], kernel: number[]): Geometry {
  const ones = kernel.map(() => 1)
  const stride = c.ints('strides', ones)
  const dilation = c.ints('dilations', ones)
  const pads = c.ints(
    'pads',
    [...kernel, ...kernel].map(() => 0)
  )
  const auto = c.text('auto_pad', 'NOTSET')
  const begin: number[] = []
  const end: number[] = []
  const out = spatial.map((n, i) => {
    const reach = dilation[i] * (kernel[i] - 1) + 1
    if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
      const windows = Math.ceil(n / stride[i])
      const pad = Math.max((windows - 1) * stride[i] + reach - n, 0)
      begin[i] = auto === 'SAME_UPPER' ? pad >> 1 : pad - (pad >> 1)
      end[i] = pad - begin[i]
      return windows
    }
    begin[i] = auto === 'VALID' ? 0 : pads[i]
    end[i] = auto === 'VALID' ? 0 : pads[kernel.length + i]
    const exact = (n + begin[i] + end[i] - reach) / stride[i]
    if (c.int('ceil_mode', 0) === 0) return Math.floor(exact) + 1
    const windows = Math.ceil(exact) + 1
    return (windows - 1) * stride[i] < n + begin[i] ? windows : windows - 1
  })
  return { kernel, stride, dilation, begin, end, out }
}

/** For every window and tap the flat spatial index it meets, -1 in the padding and -2 beyond it. */
function meets(g: Geometry, spatial: number[]): Int32Array[] {
  const s = strides(spatial)
  const windows: Int32Array[] = []
  forEachIndex(g.out, w => {
    const at = new Int32Array(size(g.kernel))
    forEachIndex(g.kernel, (k, tap) => {
      const position = k.map((kk, i) => w[i] * g.stride[i] + kk * g.dilation[i] - g.begin[i])
      if (position.every((p, i) => p >= 0 && p < spatial[i])) at[tap] = offset(position, s)
      else at[tap] = position.some((p, i) => p >= spatial[i] + g.end[i]) ? -2 : -1
    })
    windows.push(at)
  })
  return windows
}

const conv: Operator = c => {
  const [x, w, b] = c.x as [Ref, Ref, Ref | undefined]
  const [n, channels, ...spatial] = x.shape
  const group = c.int('group', 1)
  const g = geometry(c, spatial, w.shape.slice(2))
  const at = meets(g, spatial)
  const [outputs, per] = w.shape
  const taps = size(g.kernel)
  const area = size(spatial)
  const y = ref([n, outputs, ...g.out])
  let flat = 0
  for (let i = 0; i < n; i++) {
    for (let o = 0; o < outputs; o++) {
      const first = Math.floor(o / (outputs / group)) * per
      for (const window of at) {
        let sum = b?.data[o] ?? 0
        for (let k = 0; k < per; k++) {
          const xs = (i * channels + first + k) * area
          const ws = (o * per + k) * taps
          for (let t = 0; t < taps; t++) if (window[t] >= 0) sum += x.data[xs + window[t]] * w.data[ws + t]
        }
        y.data[flat++] = sum
      }
    }
  }
  return [y]
}

const convTranspose: Operator = c => {
  const [x, w, b] = c.x as [Ref, Ref, Ref | undefined]
  const [n, channels, ...spatial] = x.shape
  const kernel = w.shape.slice(2)
  const ones = kernel.map(() => 1)
  const group = c.int('group', 1)
  const stride = c.ints('strides', ones)
  const dilation = c.ints('dilations', ones)
  const extra = c.ints(
    'output_padding',
    kernel.map(() => 0)
  )
  const auto = c.text('auto_pad', 'NOTSET')
  let pads = c.ints(
    'pads',
    [...kernel, ...kernel].map(() => 0)
  )
  const wanted = c.node.attributes['output_shape'] as number[] | undefined
  const full = spatial.map((s, i) => stride[i] * (s - 1) + extra[i] + (kernel[i] - 1) * dilation[i] + 1)
  if (wanted !== undefined || auto.startsWith('SAME')) {
    const target = wanted?.slice(-kernel.length) ?? spatial.map((s, i) => s * stride[i])
    const total = full.map((f, i) => f - target[i])
    const half = total.map(t => Math.floor(t / 2))
    const rest = total.map((t, i) => t - half[i])
    pads = auto === 'SAME_UPPER' ? [...half, ...rest] : [...rest, ...half]
  } else if (auto === 'VALID') pads = pads.map(() => 0)
  const out = full.map((f, i) => f - pads[i] - pads[kernel.length + i])
  const per = w.shape[1]
  const outputs = per * group
  const y = ref([n, outputs, ...out])
  const s = strides(out)
  const taps = size(kernel)
  for (let i = 0; i < n; i++) {
    for (let o = 0; o < outputs; o++)
      if (b !== undefined) y.data.fill(b.data[o], (i * outputs + o) * size(out), (i * outputs + o + 1) * size(out))
    for (let k = 0; k < channels; k++) {
      const first = Math.floor(k / (channels / group)) * per
      forEachIndex(spatial, (position, at) => {
        const value = x.data[(i * channels + k) * size(spatial) + at]
        forEachIndex(kernel, (tap, t) => {
          const to = tap.map((tt, d) => position[d] * stride[d] + tt * dilation[d] - pads[d])
          if (!to.every((p, d) => p >= 0 && p < out[d])) return
          for (let o = 0; o < per; o++) {
            y.data[(i * outputs + first + o) * size(out) + offset(to, s)] += value * w.data[(k * per + o) * taps + t]
          }
        })
      })
    }
  }
  return [y]
}

const maxPool: Operator = c => {
  const x = c.x[0]!
  const [n, channels, ...spatial] = x.shape
  const g = geometry(c, spatial, c.ints('kernel_shape', []))
  const at = meets(g, spatial)
  const y = ref([n, channels, ...g.out])
  const indices = ref([n, channels, ...g.out])
  let flat = 0
  for (let plane = 0; plane < n * channels; plane++) {
    for (const window of at) {
      let best = -1
      for (const t of window) if (t >= 0 && (best < 0 || x.data[plane * size(spatial) + t] > x.data[best])) best = plane * size(spatial) + t
      y.data[flat] = best < 0 ? -3.4028234663852886e38 : x.data[best]
      indices.data[flat++] = best
    }
  }
  return [y, indices]
}

const averagePool: Operator = c => {
  const x = c.x[0]!
  const [n, channels, ...spatial] = x.shape
  const g = geometry(c, spatial, c.ints('kernel_shape', []))
  const at = meets(g, spatial)
  const include = c.int('count_include_pad', 0) !== 0
  const y = ref([n, channels, ...g.out])
  let flat = 0
  for (let plane = 0; plane < n * channels; plane++) {
    for (const window of at) {
      let sum = 0
      let count = 0
      for (const t of window) {
        if (t >= 0) sum += x.data[plane * size(spatial) + t]
        if (t >= 0 || (include && t === -1)) count++
      }
      y.data[flat++] = sum / count
    }
  }
  return [y]
}

const whole =
  (combine: (values: Float64Array) => number): Operator =>
  c => {
    const x = c.x[0]!
    const [n, channels, ...spatial] = x.shape
    const area = size(spatial)
    const y = ref([n, channels, ...spatial.map(() => 1)])
    for (let i = 0; i < n * channels; i++) y.data[i] = combine(x.data.subarray(i * area, (i + 1) * area))
    return [y]
  }

export const windows: Record<string, Operator> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: whole(v => v.reduce((a, b) => a + b) / v.length),
  GlobalMaxPool: whole(v => Math.max(...v))
}
