import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { floats, range } from '../graph/tensors.ts'
import { type Window, windowOf } from '../graph/window.ts'
import { spread } from './convolution.ts'
import { masked, type Rule, type RuleContext, reshape, reshapeLike } from './rule.ts'
import { concat, offsets, padded, tap } from './windows.ts'

/*
 * Pooling. The gradient of a maximum goes to the first element of the window that has it (as Caffe and PyTorch break ties); the
 * gradient of an average goes to all elements in equal parts.
 */

function windowOfPool(c: RuleContext): Window {
  const kernel = intsAttribute(c.node, 'kernel_shape', [])
  return windowOf(c.node, c.shape().slice(2), kernel) ?? c.refuse('its padding depends on an input size that is not known ahead')
}

/** Windows that do not overlap, over an input of known size: comparing taps beats indices there, and loses where they overlap. */
function apart(c: RuleContext, window: Window): boolean {
  const { kernel, strides, dilations } = window
  return isStatic(c.shape().slice(2)) && kernel.every((k, i) => k <= strides[i] && dilations[i] === 1)
}

/**
 * The maximum of windows that do not overlap, without indices, so that the forward pass keeps its fast form: each tap of all windows is
 * one strided slice; the first one that equals the maximum takes the gradient, and the taps are woven together again.
 */
function tappedMaximum(c: RuleContext, window: Window): string {
  const { e } = c
  const zero = c.scalar(0)
  const { kernel, strides, padsBegin } = window
  const size = c.shape().slice(2) as number[]
  const counts = window.output as number[]
  // What the windows, each a stride long, reach beyond the input; below 0 where they do not reach its end.
  const over = counts.map((n, i) => n * strides[i] - padsBegin[i] - size[i])
  const beyond = over.map(o => Math.max(0, o))
  const around = padded(e, c.x(), padsBegin, beyond, c.scalar(range('float32')[0]))
  let found: string | undefined
  let none: string | undefined
  const parts = offsets(strides).map(o => {
    if (o.some((k, i) => k >= kernel[i])) {
      none ??= c.op('Mul', c.g, zero)
      return none
    }
    const hit = c.op('Equal', tap(e, around, o, strides, c.y), c.y)
    const first = found === undefined ? hit : c.op('And', hit, c.op('Not', found))
    found = found === undefined ? hit : c.op('Or', found, hit)
    return masked(e, c.g, first)
  })
  // Off with what was padded; elements that no window reaches get zeros.
  const woven = weave(e, parts, strides, counts)
  const cut = padded(
    e,
    woven,
    padsBegin.map(p => -p),
    over.map(o => -o)
  )
  return reshapeLike(e, cut, c.x())
}

/**
 * One tensor from its phases: element (p·k + o) of each spatial axis comes from the part of offset o. Axis by axis, the last one
 * first, as concatenations along a new axis: several times faster in onnxruntime than one transposition of all axes.
 *
 * @param parts - a part an offset, last axis fastest, each [..., counts]
 * @returns [-1, counts·kernel]
 */
function weave(e: Emitter, parts: string[], kernel: number[], counts: number[]): string {
  let phases = parts
  const shape = [...counts]
  for (let axis = kernel.length - 1; axis >= 0; axis--) {
    const k = kernel[axis]
    const apart = [-1, ...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]
    shape[axis] *= k
    const woven: string[] = []
    for (let i = 0; i < phases.length; i += k) {
      const group = phases.slice(i, i + k).map(p => reshape(e, p, apart))
      woven.push(reshape(e, concat(e, group, axis + 2), [-1, ...shape]))
    }
    phases = woven
  }
  return phases[0]
}

/** The general maximum: the forward node is made to give indices, and the gradient is added up at them. */
function indexedMaximum(c: RuleContext): string {
  const { e, node } = c
  if ((node.outputs[1] ?? '') === '') {
    node.outputs[1] = e.fresh('Indices')
    e.graph.types.set(node.outputs[1], { type: 'int64', shape: e.shape(node.outputs[0]) })
  }
  if (intAttribute(node, 'storage_order', 0) !== 0) c.refuse('storage_order 1 is not supported')
  const flat = e.op('ConstantOfShape', [e.op('Shape', [reshape(e, c.x(), [-1])])])
  const at = reshape(e, node.outputs[1], [-1])
  const scattered = e.op('ScatterElements', [flat, at, reshape(e, c.g, [-1])], { axis: 0, reduction: 'add' })
  return e.op('Reshape', [scattered, e.op('Shape', [c.x()])])
}

const maxPool: Rule = c => {
  if (!c.wants(0)) return []
  const window = windowOfPool(c)
  return [apart(c, window) ? tappedMaximum(c, window) : indexedMaximum(c)]
}

/** Number of elements that each window along one axis averages over. */
export function divisors(window: Window, axis: number, size: number, includePad: boolean): number[] {
  const n = window.output[axis] as number
  const [k, d, s, p] = [window.kernel[axis], window.dilations[axis], window.strides[axis], window.padsBegin[axis]]
  return Array.from({ length: n }, (_, i) => {
    let count = 0
    for (let j = 0; j < k; j++) {
      const at = i * s + j * d - p
      if (includePad ? at < size + window.padsEnd[axis] : at >= 0 && at < size) count++
    }
    return count
  })
}

const averagePool: Rule = c => {
  if (!c.wants(0)) return []
  const { e } = c
  const window = windowOfPool(c)
  const size = c.shape().slice(2)
  const include = intAttribute(c.node, 'count_include_pad', 0) !== 0
  const area = window.kernel.reduce((a, b) => a * b, 1)
  let shares: string
  if (isStatic(size)) {
    const counts = size.map((s, i) => divisors(window, i, s, include))
    const map = counts.reduce<number[]>((all, axis) => all.flatMap(a => axis.map(b => a * b)), [1])
    const even = map.every(m => m === map[0])
    const factor = even
      ? c.scalar(1 / map[0])
      : e.constant(
          floats(
            map.map(m => 1 / m),
            [1, 1, ...counts.map(a => a.length)]
          )
        )
    shares = c.op('Mul', c.g, factor)
  } else {
    const plain = window.padsBegin.every(p => p === 0) && window.padsEnd.every(p => p === 0) && intAttribute(c.node, 'ceil_mode', 0) === 0
    if (!plain && !include) c.refuse('padded or rounded-up windows need an input of known size')
    shares = c.op('Mul', c.g, c.scalar(1 / area))
  }
  // Channel by channel the same: channels join the batch, and one kernel of ones spreads them all.
  const ones = e.constant(floats(new Array(area).fill(1), [1, 1, ...window.kernel]))
  if (!isStatic(size)) return c.refuse('it needs an input of known size')
  const flatX = reshape(e, c.x(), [-1, 1, ...size])
  const dx = spread(e, reshape(e, shares, [-1, 1, ...(window.output as number[])]), ones, window, flatX, 1)
  return [reshapeLike(e, dx, c.x())]
}

export const pooling: Record<string, Rule> = { MaxPool: maxPool, AveragePool: averagePool }
