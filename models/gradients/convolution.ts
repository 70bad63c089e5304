import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { isStatic, product } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { type Window, windowOf } from '../graph/window.ts'
import { InferContext } from '../shapes/context.ts'
import { transposedOutput } from '../shapes/convolution.ts'
import { type Rule, type RuleContext, reshape, sum } from './rule.ts'
import { concat, offsets, padded, tap } from './windows.ts'

/*
 * Convolution (Dumoulin & Visin 2016, 4; Chellapilla 2006 for the product form). With windows P, taps K:
 * dX: the transposed convolution of G with the same weights, or a convolution with them turned round.
 * dW: for each tap, the product of G with what that tap met: slices of the input, one matrix product a sample (and group), summed
 *     over the batch. One convolution with G as kernel is about as fast with one thread and gets slower with two.
 * dB: the sum of G over batch and windows.
 */

/**
 * The transposed convolution that undoes a window's geometry: from one element a window back to the input's spatial shape.
 *
 * @param size - spatial shape of the input
 */
export function spread(e: Emitter, g: string, weights: string, window: Window, input: string, group: number): string {
  const size = e.shape(input).slice(2)
  const rank = window.kernel.length
  const counts = e.shape(g).slice(2)
  const padsEnd = [...window.padsEnd]
  const extra = new Array(rank).fill(0)
  const openAxes: number[] = []
  for (let i = 0; i < rank; i++) {
    const n = counts[i]
    const whole = size[i]
    const reach = (window.kernel[i] - 1) * window.dilations[i] + 1
    if (typeof n === 'number' && typeof whole === 'number') {
      const over = (n - 1) * window.strides[i] + reach - window.padsBegin[i] - whole
      padsEnd[i] = Math.max(0, over)
      extra[i] = Math.max(0, -over)
    } else if (window.strides[i] !== 1) {
      padsEnd[i] = 0
      openAxes.push(i)
    }
  }
  const attributes = {
    kernel_shape: window.kernel,
    strides: window.strides,
    dilations: window.dilations,
    pads: [...window.padsBegin, ...padsEnd],
    ...(group === 1 ? {} : { group })
  }
  // onnxruntime refuses an output padding that is not below the stride: what a far-away last window leaves is padded after.
  const fits = extra.every((x, i) => x < Math.max(window.strides[i], window.dilations[i]))
  const y = e.op('ConvTranspose', [g, weights], { ...attributes, ...(fits && extra.some(x => x > 0) ? { output_padding: extra } : {}) })
  if (openAxes.length > 0) return padToShape(e, y, input)
  return fits
    ? y
    : padded(
        e,
        y,
        extra.map(() => 0),
        extra
      )
}

/** `name` cut or filled with zeros at the end of its spatial axes to the shape of `like`. */
function padToShape(e: Emitter, name: string, like: string): string {
  const rank = e.shape(name).length
  const missing = e.op('Sub', [e.op('Shape', [like], { start: 2 }), e.op('Shape', [name], { start: 2 })])
  return e.op('Pad', [name, e.op('Concat', [e.ints(new Array(rank + 2).fill(0)), missing], { axis: 0 })])
}

/**
 * The gradient of the weights [outputs, channels/group, …] of a convolution of `input` whose result has the gradient `gradient`.
 */
function weightGradient(c: RuleContext, input: string, gradient: string, w: number[], window: Window, group: number): string {
  const { e } = c
  const [outputs, channels] = [w[0] / group, w[1]]
  const taps = offsets(window.kernel)
  const count = taps.length
  let x = input
  let g = gradient
  if (group > 1) {
    const [size, windows] = [e.shape(x).slice(2), e.shape(g).slice(2)]
    if (!isStatic(size) || !isStatic(windows)) return c.refuse('a convolution in groups needs an input of known size')
    x = reshape(e, x, [-1, channels, ...size])
    g = reshape(e, g, [-1, outputs, ...windows])
  }
  const around = padded(e, x, window.padsBegin, window.padsEnd)
  const flat = reshape(e, g, [0, outputs, -1])
  const products = groupsOfTaps(e, g, window, channels).map(length => {
    const met = taps.splice(0, length).map(o => {
      const at = o.map((i, k) => i * window.dilations[k])
      return tap(e, around, at, window.strides, g)
    })
    const columns = reshape(e, concat(e, met, 1), [0, length * channels, -1])
    return e.contributed('FusedMatMul', [flat, columns], { transB: 1 })
  })
  // [batch·group, outputs, taps·channels], in pieces along the last axis: each is summed over the batch.
  const width = count * channels
  const pieces = products.map(p => {
    if (group === 1) return sum(e, p, [0], false)
    const each = e.shape(p)[2] as number
    return sum(e, reshape(e, p, [-1, group * outputs, each]), [0], false)
  })
  const dw = concat(e, pieces, 1)
  const apart = reshape(e, dw, [group * outputs, count, width / count])
  const ordered = channels === 1 ? apart : e.op('Transpose', [apart], { perm: [0, 2, 1] })
  return reshape(e, ordered, [group * outputs, channels, ...window.kernel])
}

/**
 * How many taps go into one matrix product, tap after tap. Measured at batch 64: few channels make products too narrow to be fast, so
 * all taps go together; else a row of taps while what it copies stays in the cache, and single taps beyond.
 */
function groupsOfTaps(e: Emitter, g: string, window: Window, channels: number): number[] {
  const { kernel } = window
  const count = kernel.reduce((a, b) => a * b, 1)
  if (channels < 8) return [count]
  const windows = product(e.shape(g).slice(2))
  const row = kernel[kernel.length - 1]
  const each = typeof windows === 'number' && windows * channels * row <= 12288 ? row : 1
  return new Array(count / each).fill(each)
}

/**
 * The gradient of the input: a transposed convolution; or, over large images and where onnxruntime has its blocked form (channels in
 * eights), a convolution with the kernel turned round, which there is 12 to 20 % faster (and elsewhere up to three times slower).
 */
function inputGradient(c: RuleContext, window: Window, group: number): string {
  const { e } = c
  const [outputs, channels] = c.shape(1) as number[]
  const windows = product(e.shape(c.g).slice(2))
  const { kernel, strides, dilations, padsBegin, padsEnd } = window
  const plain = group === 1 && [...strides, ...dilations].every(x => x === 1) && kernel.every((k, i) => padsBegin[i] < k && padsEnd[i] < k)
  const blocked = outputs % 8 === 0 && channels % 8 === 0 && kernel.length === 2
  if (!plain || !blocked || typeof windows !== 'number' || windows < 256) return spread(e, c.g, c.x(1), window, c.x(0), group)
  const back = e.ints(kernel.map(() => -1))
  const axes = e.ints(kernel.map((_, i) => i + 2))
  const turned = e.op('Slice', [c.x(1), back, e.ints(kernel.map(k => -k - 1)), axes, back])
  return e.op('Conv', [c.g, e.op('Transpose', [turned], { perm: [1, 0, 2, 3] })], {
    kernel_shape: kernel,
    pads: [...kernel.map((k, i) => k - 1 - padsBegin[i]), ...kernel.map((k, i) => k - 1 - padsEnd[i])]
  })
}

const conv: Rule = c => {
  const { e } = c
  const group = intAttribute(c.node, 'group', 1)
  const w = c.shape(1) as number[]
  const window =
    windowOf(c.node, c.shape().slice(2), w.slice(2)) ?? c.refuse('its padding depends on an input size that is not known ahead')
  const spatial = window.kernel.map((_, i) => i + 2)
  const db = c.wants(2) ? sum(e, c.g, [0, ...spatial], false) : undefined
  const dw = c.wants(1) ? weightGradient(c, c.x(0), c.g, w, window, group) : undefined
  const dx = c.wants(0) ? inputGradient(c, window, group) : undefined
  return [dx, dw, db]
}

/** The transposed convolution is a convolution's gradient, so its own gradients are that convolution and its weights' gradient. */
const convTranspose: Rule = c => {
  const { e, node } = c
  const group = intAttribute(node, 'group', 1)
  const w = c.shape(1) as number[]
  const kernel = w.slice(2)
  const ones = kernel.map(() => 1)
  const { padsBegin, padsEnd, extra } = transposedOutput(
    new InferContext(
      node,
      node.inputs.map(x => (x === '' ? undefined : e.type(x)))
    )
  )
  const window: Window = {
    kernel,
    strides: intsAttribute(node, 'strides', ones),
    dilations: intsAttribute(node, 'dilations', ones),
    padsBegin,
    padsEnd,
    output: c.shape().slice(2)
  }
  if (extra.some((x, i) => x >= window.strides[i])) c.refuse('its output padding is not below its stride')
  const { strides, dilations } = window
  const attributes = { kernel_shape: kernel, strides, dilations, pads: [...padsBegin, ...padsEnd], group }
  return [
    c.wants(0) ? e.op('Conv', [c.g, c.x(1)], attributes) : undefined,
    c.wants(1) ? weightGradient(c, c.g, c.x(0), w, window, group) : undefined,
    c.wants(2) ? sum(e, c.g, [0, ...kernel.map((_, i) => i + 2)], false) : undefined
  ]
}

export const convolution: Record<string, Rule> = { Conv: conv, ConvTranspose: convTranspose }
