import t from 'tap'
import { float } from '../../models/graph/attributes.ts'
import { checkGradient, normal } from './reference/check.ts'
import { between, pick, property, sizes } from './reference/property.ts'

property(t, 'Gemm with transposes, factors and a broadcast addend', 20, async (rng, seed) => {
  const [m, k, n] = sizes(rng, 3, 5)
  const [transA, transB] = [rng.int(2), rng.int(2)]
  const c = pick(rng, [[n], [1, n], [m, 1], [m, n], [1], []])
  const inputs = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], ...(rng.int(4) === 0 ? [] : [c])].map(s => ({
    value: normal(rng, s)
  }))
  const attributes = { transA, transB, alpha: float(pick(rng, [1, 0.5])), beta: float(pick(rng, [1, 2])) }
  await checkGradient(seed, inputs, (e, x) => e.op('Gemm', x, attributes))
})

property(t, 'MatMul of vectors, matrices and broadcast batches', 30, async (rng, seed) => {
  const [m, k, n] = sizes(rng, 3, 4)
  const batch = sizes(rng, between(rng, 0, 2), 3)
  const thin = (s: number[]) => s.slice(rng.int(s.length + 1)).map(d => (rng.int(3) === 0 ? 1 : d))
  const a = rng.int(6) === 0 ? [k] : [...(rng.int(2) === 0 ? batch : thin(batch)), m, k]
  const b = rng.int(6) === 0 ? [k] : [...(rng.int(2) === 0 ? batch : thin(batch)), k, n]
  await checkGradient(seed, [{ value: normal(rng, a) }, { value: normal(rng, b) }], (e, x) => e.op('MatMul', x))
})

property(t, 'MatMul with a batch that is only known at run time', 4, async (rng, seed) => {
  const [m, k, n] = sizes(rng, 3, 4)
  const inputs = [{ value: normal(rng, [3, m, k]), declared: ['N', m, k] }, { value: normal(rng, [k, n]) }]
  await checkGradient(seed, inputs, (e, x) => e.op('MatMul', x))
})
