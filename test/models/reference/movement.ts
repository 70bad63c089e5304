import type { Operator } from './node.ts'
import { forEachIndex, fromTensor, offset, type Ref, ref, size, strides, transpose, zip } from './tensor.ts'

function inverse(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

const slice: Operator = c => {
  const x = c.x[0]!
  const rank = x.shape.length
  const starts = c.x[1]!.data
  const axes = c.x[3] === undefined ? Array.from(starts, (_, i) => i) : Array.from(c.x[3].data, a => inverse(a, rank))
  const from = x.shape.map(() => 0)
  const step = x.shape.map(() => 1)
  const shape = [...x.shape]
  axes.forEach((axis, k) => {
    const n = x.shape[axis]
    const by = c.x[4]?.data[k] ?? 1
    const [low, high] = by > 0 ? [0, n] : [-1, n - 1]
    const clamp = (v: number) => Math.min(Math.max(v < 0 ? v + n : v, low), high)
    const begin = by > 0 ? clamp(starts[k]) : Math.min(Math.max(starts[k] < 0 ? starts[k] + n : starts[k], 0), n - 1)
    from[axis] = begin
    step[axis] = by
    shape[axis] = Math.max(0, Math.ceil((clamp(c.x[2]!.data[k]) - begin) / by))
  })
  const s = strides(x.shape)
  const y = ref(shape)
  forEachIndex(shape, (index, flat) => {
    y.data[flat] =
      x.data[
        offset(
          index.map((i, d) => from[d] + i * step[d]),
          s
        )
      ]
  })
  return [y]
}

const concat: Operator = c => {
  const inputs = c.x as Ref[]
  const axis = inverse(c.int('axis', 0), inputs[0].shape.length)
  const shape = [...inputs[0].shape]
  shape[axis] = inputs.reduce((n, x) => n + x.shape[axis], 0)
  const y = ref(shape)
  const s = strides(shape)
  let base = 0
  for (const x of inputs) {
    forEachIndex(x.shape, (index, flat) => {
      y.data[offset(index, s) + base * s[axis]] = x.data[flat]
    })
    base += x.shape[axis]
  }
  return [y]
}

const split: Operator = c => {
  const x = c.x[0]!
  const axis = inverse(c.int('axis', 0), x.shape.length)
  const n = c.node.outputs.length
  const each = Math.ceil(x.shape[axis] / n)
  const parts = c.x[1] === undefined ? Array.from({ length: n }, (_, i) => Math.min(each, x.shape[axis] - i * each)) : [...c.x[1].data]
  const s = strides(x.shape)
  let base = 0
  return parts.map(part => {
    const y = ref(x.shape.map((d, i) => (i === axis ? part : d)))
    forEachIndex(y.shape, (index, flat) => {
      y.data[flat] = x.data[offset(index, s) + base * s[axis]]
    })
    base += part
    return y
  })
}

const pad: Operator = c => {
  const x = c.x[0]!
  const rank = x.shape.length
  const pads = [...c.x[1]!.data]
  const mode = c.text('mode', 'constant')
  const value = c.x[2]?.data[0] ?? 0
  const axes = c.x[3] === undefined ? x.shape.map((_, i) => i) : Array.from(c.x[3].data, a => inverse(a, rank))
  const begin = x.shape.map(() => 0)
  const end = x.shape.map(() => 0)
  axes.forEach((axis, k) => {
    begin[axis] = pads[k]
    end[axis] = pads[axes.length + k]
  })
  const y = ref(x.shape.map((d, i) => d + begin[i] + end[i]))
  const s = strides(x.shape)
  forEachIndex(y.shape, (index, flat) => {
    const at = index.map((i, d) => {
      const n = x.shape[d]
      const p = i - begin[d]
      if (p >= 0 && p < n) return p
      if (mode === 'edge') return Math.min(Math.max(p, 0), n - 1)
      if (mode === 'reflect') return n === 1 ? 0 : p < 0 ? -p : 2 * (n - 1) - p
      if (mode === 'wrap') return ((p % n) + n) % n
      return -1
    })
    y.data[flat] = at.includes(-1) ? value : x.data[offset(at, s)]
  })
  return [y]
}

const scatterElements: Operator = c => {
  const [x, at, updates] = c.x as Ref[]
  const axis = inverse(c.int('axis', 0), x.shape.length)
  const y = ref(x.shape, x.data.slice())
  const s = strides(x.shape)
  const add = c.text('reduction', 'none') === 'add'
  forEachIndex(at.shape, (index, flat) => {
    const to = [...index]
    to[axis] = inverse(at.data[flat], x.shape[axis])
    const p = offset(to, s)
    y.data[p] = (add ? y.data[p] : 0) + updates.data[flat]
  })
  return [y]
}

const scatterNd: Operator = c => {
  const [x, at, updates] = c.x as Ref[]
  const depth = at.shape[at.shape.length - 1]
  const s = strides(x.shape)
  const block = size(x.shape.slice(depth))
  const y = ref(x.shape, x.data.slice())
  const add = c.text('reduction', 'none') === 'add'
  for (let i = 0; i < at.data.length / depth; i++) {
    const p = offset(
      Array.from(at.data.subarray(i * depth, (i + 1) * depth), (v, d) => inverse(v, x.shape[d])),
      s
    )
    for (let k = 0; k < block; k++) y.data[p + k] = (add ? y.data[p + k] : 0) + updates.data[i * block + k]
  }
  return [y]
}

export const movement: Record<string, Operator> = {
  Reshape: c => {
    const x = c.x[0]!
    const shape = Array.from(c.x[1]!.data, (d, i) => (d === 0 && c.int('allowzero', 0) === 0 ? x.shape[i] : d))
    const open = shape.indexOf(-1)
    if (open >= 0) shape[open] = x.data.length / -size(shape)
    if (size(shape) !== x.data.length) throw new Error(`${c.node.name}: [${x.shape}] does not reshape to [${shape}]`)
    return [ref(shape, x.data)]
  },
  Flatten: c => {
    const x = c.x[0]!
    const axis = inverse(c.int('axis', 1), x.shape.length)
    return [ref([size(x.shape.slice(0, axis)), size(x.shape.slice(axis))], x.data)]
  },
  Transpose: c => [
    transpose(
      c.x[0]!,
      c.ints(
        'perm',
        c.x[0]!.shape.map((_, i) => c.x[0]!.shape.length - 1 - i)
      )
    )
  ],
  Squeeze: c => {
    const x = c.x[0]!
    const axes = c.x[1] === undefined ? undefined : Array.from(c.x[1].data, a => inverse(a, x.shape.length))
    return [
      ref(
        x.shape.filter((d, i) => (axes === undefined ? d !== 1 : !axes.includes(i))),
        x.data
      )
    ]
  },
  Unsqueeze: c => {
    const x = c.x[0]!
    const rank = x.shape.length + c.x[1]!.data.length
    const axes = Array.from(c.x[1]!.data, a => inverse(a, rank))
    const rest = [...x.shape]
    return [
      ref(
        Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
        x.data
      )
    ]
  },
  Slice: slice,
  Concat: concat,
  Split: split,
  Pad: pad,
  Gather: c => {
    const [x, at] = c.x as Ref[]
    const axis = inverse(c.int('axis', 0), x.shape.length)
    const y = ref([...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)])
    const s = strides(x.shape)
    const k = at.shape.length
    forEachIndex(y.shape, (index, flat) => {
      const pick = inverse(at.data[offset(index.slice(axis, axis + k), strides(at.shape))], x.shape[axis])
      y.data[flat] = x.data[offset([...index.slice(0, axis), pick, ...index.slice(axis + k)], s)]
    })
    return [y]
  },
  GatherElements: c => {
    const [x, at] = c.x as Ref[]
    const axis = inverse(c.int('axis', 0), x.shape.length)
    const s = strides(x.shape)
    const y = ref(at.shape)
    forEachIndex(at.shape, (index, flat) => {
      const from = [...index]
      from[axis] = inverse(at.data[flat], x.shape[axis])
      y.data[flat] = x.data[offset(from, s)]
    })
    return [y]
  },
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  Expand: c => [zip(a => a, c.x[0]!, ref([...c.x[1]!.data]))],
  Tile: c => {
    const [x, repeats] = c.x as Ref[]
    const y = ref(x.shape.map((d, i) => d * repeats.data[i]))
    const s = strides(x.shape)
    forEachIndex(y.shape, (index, flat) => {
      y.data[flat] =
        x.data[
          offset(
            index.map((v, d) => v % x.shape[d]),
            s
          )
        ]
    })
    return [y]
  },
  Shape: c => {
    const { shape } = c.x[0]!
    const part = shape.slice(c.int('start', 0), c.int('end', shape.length))
    return [ref([part.length], part)]
  },
  Size: c => [ref([], [c.x[0]!.data.length])],
  Constant: c => [fromTensor((c.node.attributes['value'] as any).tensor)],
  ConstantOfShape: c => {
    const value = c.node.attributes['value'] as any
    const shape = [...c.x[0]!.data]
    return [ref(shape, new Float64Array(size(shape)).fill(value === undefined ? 0 : Number(value.tensor.data[0])))]
  },
  Range: c => {
    const [start, limit, delta] = c.x.map(x => x!.data[0])
    const n = Math.max(0, Math.ceil((limit - start) / delta))
    return [
      ref(
        [n],
        Array.from({ length: n }, (_, i) => start + i * delta)
      )
    ]
  },
  NonZero: c => {
    const x = c.x[0]!
    const found: number[][] = []
    forEachIndex(x.shape, (index, flat) => {
      if (x.data[flat] !== 0) found.push([...index])
    })
    return [
      ref(
        [x.shape.length, found.length],
        x.shape.flatMap((_, d) => found.map(f => f[d]))
      )
    ]
  },
  OneHot: c => {
    const [x, depth, values] = c.x as Ref[]
    const n = depth.data[0]
    const axis = inverse(c.int('axis', -1), x.shape.length + 1)
    const y = ref([...x.shape.slice(0, axis), n, ...x.shape.slice(axis)])
    const s = strides(x.shape)
    forEachIndex(y.shape, (index, flat) => {
      const at = x.data[offset([...index.slice(0, axis), ...index.slice(axis + 1)], s)]
      y.data[flat] = values.data[inverse(at, n) === index[axis] ? 1 : 0]
    })
    return [y]
  },
  DepthToSpace: c => {
    const x = c.x[0]!
    const b = c.int('blocksize', 1)
    const [n, d, h, w] = x.shape
    const apart = ref([n, b, b, d / (b * b), h, w], x.data)
    return [ref([n, d / (b * b), h * b, w * b], transpose(apart, [0, 3, 4, 1, 5, 2]).data)]
  },
  SpaceToDepth: c => {
    const x = c.x[0]!
    const b = c.int('blocksize', 1)
    const [n, d, h, w] = x.shape
    const apart = ref([n, d, h / b, b, w / b, b], x.data)
    return [ref([n, d * b * b, h / b, w / b], transpose(apart, [0, 3, 5, 1, 2, 4]).data)]
  },
  Trilu: c => {
    const x = c.x[0]!
    const upper = c.int('upper', 1) !== 0
    const k = c.x[1]?.data[0] ?? 0
    const y = ref(x.shape)
    forEachIndex(x.shape, (index, flat) => {
      const [i, j] = index.slice(-2)
      if (upper ? j - i >= k : j - i <= k) y.data[flat] = x.data[flat]
    })
    return [y]
  },
  CumSum: c => {
    const x = c.x[0]!
    const axis = inverse(c.x[1]!.data[0], x.shape.length)
    const s = strides(x.shape)
    const [exclusive, reverse] = [c.int('exclusive', 0) !== 0, c.int('reverse', 0) !== 0]
    const y = ref(x.shape)
    forEachIndex(x.shape, (index, flat) => {
      let total = 0
      for (let i = 0; i < x.shape[axis]; i++) {
        const before = reverse ? i > index[axis] : i < index[axis]
        if (before || (i === index[axis] && !exclusive)) total += x.data[flat + (i - index[axis]) * s[axis]]
      }
      y.data[flat] = total
    })
    return [y]
  }
}
