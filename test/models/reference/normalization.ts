import type { Operator } from './node.ts'
import { type Ref, ref, size } from './tensor.ts'

function moments(values: Float64Array): { mean: number; variance: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  return { mean, variance: values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length }
}

const layer: Operator = c => {
  const [x, scale, bias] = c.x as [Ref, Ref, Ref | undefined]
  const axis = (c.int('axis', -1) + x.shape.length) % x.shape.length
  const inner = size(x.shape.slice(axis))
  const kept = x.shape.map((d, i) => (i >= axis ? 1 : d))
  const [y, means, inverses] = [ref(x.shape), ref(kept), ref(kept)]
  for (let i = 0; i < means.data.length; i++) {
    const { mean, variance } = moments(x.data.subarray(i * inner, (i + 1) * inner))
    means.data[i] = mean
    inverses.data[i] = 1 / Math.sqrt(variance + c.float('epsilon', 1e-5))
    for (let k = 0; k < inner; k++) {
      const n = scale.data.length
      y.data[i * inner + k] = (x.data[i * inner + k] - mean) * inverses.data[i] * scale.data[k % n] + (bias?.data[k % n] ?? 0)
    }
  }
  return [y, means, inverses]
}

/** Normalises runs of `length` elements; the channel of element i of a run of plane p is channel(p, i). */
function runs(x: Ref, scale: Ref, bias: Ref, length: number, epsilon: number): Ref {
  const area = size(x.shape.slice(2))
  const channels = x.shape[1]
  const y = ref(x.shape)
  for (let start = 0; start < x.data.length; start += length) {
    const { mean, variance } = moments(x.data.subarray(start, start + length))
    for (let i = start; i < start + length; i++) {
      const channel = Math.floor(i / area) % channels
      y.data[i] = ((x.data[i] - mean) / Math.sqrt(variance + epsilon)) * scale.data[channel] + bias.data[channel]
    }
  }
  return y
}

/** Mean and biased variance of each channel over all else. */
function batchStatistics(x: Ref): [Ref, Ref] {
  const channels = x.shape[1]
  const area = size(x.shape.slice(2))
  const each = x.data.length / channels
  const sums = (of: (v: number, k: number) => number) => {
    const result = ref([channels])
    x.data.forEach((v, i) => {
      const k = Math.floor(i / area) % channels
      result.data[k] += of(v, k) / each
    })
    return result
  }
  const mean = sums(v => v)
  return [mean, sums((v, k) => (v - mean.data[k]) ** 2)]
}

export const normalization: Record<string, Operator> = {
  LayerNormalization: layer,
  InstanceNormalization: c => {
    const [x, scale, bias] = c.x as Ref[]
    return [runs(x, scale, bias, size(x.shape.slice(2)), c.float('epsilon', 1e-5))]
  },
  GroupNormalization: c => {
    const [x, scale, bias] = c.x as Ref[]
    return [runs(x, scale, bias, size(x.shape.slice(1)) / c.int('num_groups', 1), c.float('epsilon', 1e-5))]
  },
  BatchNormalization: c => {
    const [x, scale, bias] = c.x as Ref[]
    let [, , , mean, variance] = c.x as Ref[]
    const area = size(x.shape.slice(2))
    const epsilon = c.float('epsilon', 1e-5)
    const given: Ref[] = []
    if (c.int('training_mode', 0) !== 0) {
      const momentum = c.float('momentum', 0.9)
      const own = batchStatistics(x)
      ;[mean, variance].forEach((old, i) => {
        given.push(
          ref(
            old.shape,
            old.data.map((v, k) => v * momentum + own[i].data[k] * (1 - momentum))
          )
        )
      })
      ;[mean, variance] = own
    }
    return [
      ref(
        x.shape,
        x.data.map((v, i) => {
          const k = Math.floor(i / area) % x.shape[1]
          return ((v - mean.data[k]) / Math.sqrt(variance.data[k] + epsilon)) * scale.data[k] + bias.data[k]
        })
      ),
      ...given
    ]
  },
  LRN: c => {
    const x = c.x[0]!
    const n = c.int('size', 1)
    const channels = x.shape[1]
    const area = size(x.shape.slice(2))
    const y = ref(x.shape)
    for (let i = 0; i < x.data.length; i++) {
      const k = Math.floor(i / area) % channels
      let squares = 0
      for (let j = Math.max(0, k - Math.floor((n - 1) / 2)); j <= Math.min(channels - 1, k + Math.ceil((n - 1) / 2)); j++) {
        squares += x.data[i + (j - k) * area] ** 2
      }
      y.data[i] = x.data[i] / (c.float('bias', 1) + (c.float('alpha', 1e-4) / n) * squares) ** c.float('beta', 0.75)
    }
    return [y]
  }
}
