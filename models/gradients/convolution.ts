import { intAttribute } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import { type Window, windowOf } from '../graph/window.ts'
import { type Rule, type RuleContext, reshape, sum } from './rule.ts'
import { concat, offsets, padded, tap } from './windows.ts'

/*
 * Convolution (Dumoulin & Visin 2016, 4; Chellapilla 2006 for the product form). With windows P, taps K:
 * dX: the transposed convolution of G with the same weights.
 * dW: for each tap, the product of G with what that tap met: slices of the input side by side, one matrix product a sample (and
 *     group), summed over the batch. Measured against one convolution with G as kernel, it wins wherever two threads are to be used.
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

function weightGradient(c: RuleContext, window: Window, group: number): string {
  const { e } = c
  const w = c.shape(1) as number[]
  const [outputs, channels] = [w[0] / group, w[1]]
  const spatial = window.kernel.length
  const taps = offsets(window.kernel)
  let x = c.x(0)
  let g = c.g
  if (group > 1) {
    const free = (name: string) =>
      e
        .shape(name)
        .slice(2)
        .filter(d => typeof d !== 'number').length
    if (free(x) > 0 || free(g) > 0) c.refuse('a convolution in groups needs an input of known size')
    x = reshape(e, x, [-1, channels, ...(e.shape(x).slice(2) as number[])])
    g = reshape(e, g, [-1, outputs, ...(e.shape(g).slice(2) as number[])])
  }
  const around = padded(e, x, window.padsBegin, window.padsEnd)
  const met = taps.map(o =>
    tap(
      e,
      around,
      o.map((i, k) => i * window.dilations[k]),
      window.strides,
      g
    )
  )
  const columns = reshape(e, concat(e, met, 1), [0, taps.length * channels, -1])
  const products = e.contributed('FusedMatMul', [reshape(e, g, [0, outputs, -1]), columns], { transB: 1 })
  let dw: string
  if (group === 1) {
    dw = sum(e, products, [0], false)
  } else {
    dw = reshape(e, sum(e, reshape(e, products, [-1, group * outputs, taps.length * channels]), [0], false), [-1, taps.length * channels])
  }
  const apart = reshape(e, dw, [group * outputs, taps.length, channels])
  const ordered = channels === 1 ? apart : e.op('Transpose', [apart], { perm: [0, 2, 1] })
  return reshape(e, ordered, [group * outputs, channels, ...window.kernel.slice(0, spatial)])
}

const conv: Rule = c => {
  const { e } = c
  const group = intAttribute(c.node, 'group', 1)
  const w = c.shape(1) as number[]
  const window =
    windowOf(c.node, c.shape().slice(2), w.slice(2)) ?? c.refuse('its padding depends on an input size that is not known ahead')
  const spatial = window.kernel.map((_, i) => i + 2)
  const db = c.wants(2) ? sum(e, c.g, [0, ...spatial], false) : undefined
  const dw = c.wants(1) ? weightGradient(c, window, group) : undefined
  const dx = c.wants(0) ? spread(e, c.g, c.x(1), window, c.x(0), group) : undefined
  return [dx, dw, db]
}

export const convolution: Record<string, Rule> = { Conv: conv }
