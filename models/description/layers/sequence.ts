import { z } from 'zod'
import type { Filler } from '../../graph/types.ts'
import { kind, type LayerContext } from '../context.ts'
import { common, count, factor, parameter, trained } from '../fields.ts'

/** Largest table that a layer brings along as a constant: its side. */
const MAX_SIDE = 4096

/** Numbers of tokens as float32 (exact up to 2²⁴), as batches carry them, to indices. */
function tokens(c: LayerContext): string {
  if (c.sample().length !== 1) c.refuse(`reads sequences of tokens, samples of shape [length], not [${c.sample().join(', ')}]`)
  return c.op('Cast', [c.x], { to: 7 })
}

/** [length] to [length, size]: a trained vector a token. */
const embedding = kind(
  z.strictObject({
    type: z.literal('embedding'),
    ...trained,
    vocabulary: z.union([count, z.literal('classes')]),
    size: count,
    weight: parameter.optional()
  }),
  (c, layer) => {
    const table = c.parameter('weight', [c.outputs(layer.vocabulary), layer.size], { type: 'gaussian', std: 0.02 }, layer.weight)
    return c.result('Gather', [table, tokens(c)])
  }
)

/** Adds a trained vector a position to [length, size]. */
const positionalEmbedding = kind(
  z.strictObject({ type: z.literal('positionalEmbedding'), ...trained, weight: parameter.optional() }),
  (c, layer) => c.result('Add', [c.x, c.parameter('weight', c.sample(), { type: 'gaussian', std: 0.02 }, layer.weight)])
)

/** [length] to [length, vocabulary]: 1 at the token, 0 elsewhere. */
const oneHot = kind(
  z.strictObject({ type: z.literal('oneHot'), ...common, vocabulary: z.union([count.max(MAX_SIDE), z.literal('classes')]) }),
  (c, layer) => {
    const n = c.outputs(layer.vocabulary)
    if (n > MAX_SIDE) c.refuse(`spreads ${n} tokens; at most ${MAX_SIDE} go, use an embedding`)
    const identity = new Float32Array(n * n)
    for (let i = 0; i < n; i++) identity[i * (n + 1)] = 1
    return c.result('Gather', [c.constant(identity, [n, n]), tokens(c)])
  }
)

const recurrent = {
  ...trained,
  /** Units. */
  size: count.max(65_536),
  weight: parameter.optional(),
  bias: z.union([z.literal(false), parameter]).optional(),
  /** The last step's result alone. */
  last: z.boolean().optional(),
  /** @default forward */
  direction: z.enum(['forward', 'reverse', 'bidirectional']).optional()
}

interface Recurrent {
  size: number
  weight?: z.output<typeof parameter>
  bias?: false | z.output<typeof parameter>
  last?: boolean
  direction?: 'forward' | 'reverse' | 'bidirectional'
}

function unroll(c: LayerContext, op: 'LSTM' | 'GRU', gates: number, layer: Recurrent): string {
  const { size, last = false, direction = 'forward' } = layer
  const sample = c.sample()
  if (sample.length !== 2) return c.refuse(`reads sequences [length, features], not [${sample.join(', ')}]`)
  const ways = direction === 'bidirectional' ? 2 : 1
  const bound = 1 / Math.sqrt(size)
  const filler: Filler = { type: 'uniform', min: -bound, max: bound }
  const inputs = [
    c.op('Transpose', [c.x], { perm: [1, 0, 2] }),
    c.parameter('weight', [ways, gates * size, sample[1]], filler, layer.weight),
    c.parameter('recurrence', [ways, gates * size, size], filler, layer.weight)
  ]
  if (layer.bias !== false) inputs.push(c.parameter('bias', [ways, 2 * gates * size], filler, layer.bias))
  const [all, final] = c.e.ops(
    op,
    inputs,
    { hidden_size: size, direction, ...(op === 'GRU' ? { linear_before_reset: 1 } : {}) },
    2,
    c.e.fresh(`${c.name}.${op}`)
  )
  // [length, ways, N, size] or [ways, N, size], back to the batch first.
  if (last) return c.result('Reshape', [c.op('Transpose', [final], { perm: [1, 0, 2] }), c.ints([-1, ways * size])])
  return c.result('Reshape', [c.op('Transpose', [all], { perm: [2, 0, 1, 3] }), c.ints([-1, sample[0], ways * size])])
}

/** Hochreiter & Schmidhuber 1997 with forget gates. Parameters in ONNX's order of gates: input, output, forget, cell. */
const lstm = kind(z.strictObject({ type: z.literal('lstm'), ...recurrent }), (c, layer) => unroll(c, 'LSTM', 4, layer))

/** Cho 2014, the reset gate after the product, as cuDNN and PyTorch have it. */
const gru = kind(z.strictObject({ type: z.literal('gru'), ...recurrent }), (c, layer) => unroll(c, 'GRU', 3, layer))

/** Multi-head self-attention over [length, size], in and out. @see Vaswani 2017, 3.2.2 */
const selfAttention = kind(
  z.strictObject({
    type: z.literal('selfAttention'),
    ...trained,
    heads: count.max(1024),
    /** A position sees itself and those before it. @default true */
    causal: z.boolean().optional(),
    /** Of the attention's weights. */
    dropout: factor.max(0.999).optional(),
    /** Of the joint projection to queries, keys and values. */
    weight: parameter.optional(),
    /** Of the projection at the end. */
    outputWeight: parameter.optional(),
    bias: z.union([z.literal(false), parameter]).optional()
  }),
  (c, layer) => {
    const sample = c.sample()
    const { heads, causal = true } = layer
    if (sample.length !== 2) return c.refuse(`reads sequences [length, size], not [${sample.join(', ')}]`)
    const [length, size] = sample
    if (size % heads !== 0) c.refuse(`has ${heads} heads, which divide its size ${size} only with a rest`)
    if (length > MAX_SIDE) c.refuse(`looks over ${length} positions; at most ${MAX_SIDE} go`)
    const each = size / heads
    const project = (x: string, prefix: string, outputs: number, options: z.output<typeof parameter> | undefined): string => {
      const inputs = [x, c.parameter(`${prefix}weight`, [outputs, size], { type: 'xavier' }, options)]
      if (layer.bias !== false) inputs.push(c.parameter(`${prefix}bias`, [outputs], { type: 'constant', value: 0 }, layer.bias))
      return c.op('Gemm', inputs, { transB: 1 })
    }
    const joint = c.reshape(project(c.reshape(c.x, [-1, size]), '', 3 * size, layer.weight), [-1, length, 3, heads, each])
    // [3, N, heads, length, each]
    const apart = c.op('Transpose', [joint], { perm: [2, 0, 3, 1, 4] })
    const [q, k, v] = c.e
      .ops('Split', [apart, c.ints([1, 1, 1])], { axis: 0 }, 3, c.e.fresh(`${c.name}.Split`))
      .map(part => c.op('Squeeze', [part, c.ints([0])]))
    const scaled = c.op('Mul', [q, c.e.scalar(1 / Math.sqrt(each))])
    let scores = c.op('MatMul', [scaled, c.op('Transpose', [k], { perm: [0, 1, 3, 2] })])
    if (causal && length > 1) {
      const mask = new Float32Array(length * length)
      for (let i = 0; i < length; i++) mask.fill(-1e9, i * length + i + 1, (i + 1) * length)
      scores = c.op('Add', [scores, c.constant(mask, [length, length])])
    }
    let shares = c.op('Softmax', [scores], { axis: -1 })
    if (layer.dropout !== undefined && layer.dropout > 0) shares = c.op('Dropout', [shares, c.e.scalar(layer.dropout)])
    const mixed = c.op('Transpose', [c.op('MatMul', [shares, v])], { perm: [0, 2, 1, 3] })
    const out = project(c.reshape(mixed, [-1, size]), 'output.', size, layer.outputWeight)
    return c.result('Reshape', [out, c.ints([-1, length, size])])
  }
)

export const sequence = { embedding, positionalEmbedding, oneHot, lstm, gru, selfAttention }
