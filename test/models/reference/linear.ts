import type { Operator } from './node.ts'
import { broadcastShapes, forEachIndex, offset, type Ref, ref, strides, transpose, zip } from './tensor.ts'

function swap(x: Ref): Ref {
  const perm = x.shape.map((_, i) => i)
  const n = perm.length
  return transpose(x, [...perm.slice(0, n - 2), n - 1, n - 2])
}

export function matmul(left: Ref, right: Ref): Ref {
  const a = left.shape.length === 1 ? ref([1, left.shape[0]], left.data) : left
  const b = right.shape.length === 1 ? ref([right.shape[0], 1], right.data) : right
  const [m, k] = a.shape.slice(-2)
  const n = b.shape[b.shape.length - 1]
  if (b.shape[b.shape.length - 2] !== k) throw new Error(`[${a.shape}] and [${b.shape}] do not multiply`)
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const y = ref([...batch, m, n])
  const steps = [a, b].map(x => {
    const s = strides(x.shape)
    const lead = batch.length - (x.shape.length - 2)
    return batch.map((_, i) => (i < lead || x.shape[i - lead] === 1 ? 0 : s[i - lead]))
  })
  forEachIndex(batch, (index, flat) => {
    const from = offset(index, steps[0])
    const other = offset(index, steps[1])
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let l = 0; l < k; l++) sum += a.data[from + i * k + l] * b.data[other + l * n + j]
        y.data[flat * m * n + i * n + j] = sum
      }
    }
  })
  const shape = [...batch]
  if (left.shape.length > 1) shape.push(m)
  if (right.shape.length > 1) shape.push(n)
  return ref(shape, y.data)
}

const einsum: Operator = c => {
  const equation = c.text('equation', '').replace(/\s/g, '')
  const [left, right] = equation.split('->')
  const terms = left.split(',')
  const inputs = c.x as Ref[]
  const sizes = new Map<string, number>()
  for (const [i, t] of terms.entries()) for (const [k, s] of [...t].entries()) sizes.set(s, inputs[i].shape[k])
  const all = [...sizes.keys()]
  const once = all.filter(s => [...left].filter(l => l === s).length === 1).sort()
  const result = right !== undefined ? [...right] : once
  const y = ref(result.map(s => sizes.get(s)!))
  const step = (letters: string[], shape: number[]) => {
    const st = strides(shape)
    return all.map(s => letters.reduce((sum, l, k) => sum + (l === s ? st[k] : 0), 0))
  }
  const steps = terms.map((t, i) => step([...t], inputs[i].shape))
  const to = step(result, y.shape)
  forEachIndex(
    all.map(s => sizes.get(s)!),
    index => {
      y.data[offset(index, to)] += inputs.reduce((p, x, i) => p * x.data[offset(index, steps[i])], 1)
    }
  )
  return [y]
}

export const linear: Record<string, Operator> = {
  MatMul: c => [matmul(c.x[0]!, c.x[1]!)],
  FusedMatMul: c => {
    const a = c.int('transA', 0) !== 0 ? swap(c.x[0]!) : c.x[0]!
    const b = c.int('transB', 0) !== 0 ? swap(c.x[1]!) : c.x[1]!
    const alpha = c.float('alpha', 1)
    return [zip(v => alpha * v, matmul(a, b))]
  },
  Gemm: c => {
    const a = c.int('transA', 0) !== 0 ? swap(c.x[0]!) : c.x[0]!
    const b = c.int('transB', 0) !== 0 ? swap(c.x[1]!) : c.x[1]!
    const y = zip(v => c.float('alpha', 1) * v, matmul(a, b))
    const bias = c.x[2]
    return [bias === undefined ? y : zip((p, q) => p + c.float('beta', 1) * q, y, bias)]
  },
  Einsum: einsum
}
