import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import type { Rule, RuleContext } from './rule.ts'
import { applyMatrix } from './shapes.ts'

/*
 * Resize, nearest and linear: along each axis a linear map with at most two elements of the input in each of the output; the gradient
 * is multiplied by the map's matrix, axis by axis. Coordinates after the ONNX specification of Resize.
 */

/** Position in the input, elements, of output element `i`. */
function origin(mode: string, i: number, scale: number, from: number, to: number): number {
  switch (mode) {
    case 'asymmetric':
      return i / scale
    case 'align_corners':
      return to === 1 ? 0 : (i * (from - 1)) / (to - 1)
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / scale - 0.5 : 0
    case 'half_pixel_symmetric':
      return from / 2 - ((to / 2) * from) / (scale * from) + (i + 0.5) / scale - 0.5
    default:
      return (i + 0.5) / scale - 0.5
  }
}

function nearest(mode: string, x: number): number {
  const tie = x - Math.floor(x) === 0.5
  if (mode === 'floor') return Math.floor(x)
  if (mode === 'ceil') return Math.ceil(x)
  return tie ? (mode === 'round_prefer_ceil' ? Math.ceil(x) : Math.floor(x)) : Math.round(x)
}

function row(c: RuleContext, x: number, from: number): number[] {
  const clamp = (i: number) => Math.min(Math.max(i, 0), from - 1)
  const weights = new Array<number>(from).fill(0)
  if (stringAttribute(c.node, 'mode', 'nearest') === 'nearest') {
    weights[clamp(nearest(stringAttribute(c.node, 'nearest_mode', 'round_prefer_floor'), x))] = 1
    return weights
  }
  const at = Math.min(Math.max(x, 0), from - 1)
  const low = Math.floor(at)
  weights[low] += 1 - (at - low)
  weights[clamp(low + 1)] += at - low
  return weights
}

const resize: Rule = c => {
  const { e, node } = c
  const mode = stringAttribute(node, 'mode', 'nearest')
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  if (mode !== 'nearest' && mode !== 'linear') c.refuse(`mode '${mode}' is not known`)
  if (coordinates === 'tf_crop_and_resize' || intAttribute(node, 'antialias', 0) !== 0) c.refuse('cropping and antialiasing are not known')
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') c.refuse('only stretching is known')
  if (floatAttribute(node, 'extrapolation_value', 0) !== 0) c.refuse('extrapolation is not known')
  const rank = c.shape().length
  const axes = intsAttribute(
    node,
    'axes',
    c.shape().map((_, i) => i)
  ).map(a => (a + rank) % rank)
  const scales = c.has(2) ? e.type(c.x(2)).values : undefined
  let g = c.g
  for (const [k, axis] of axes.entries()) {
    const from = c.shape()[axis]
    const to = e.shape(c.y)[axis]
    if (from === to && (scales === undefined || scales[k] === 1)) continue
    if (typeof from !== 'number' || typeof to !== 'number') return c.refuse('it needs known sizes')
    const scale = scales?.[k] ?? to / from
    g = applyMatrix(
      e,
      g,
      axis,
      Array.from({ length: to }, (_, i) => row(c, origin(coordinates, i, scale, from, to), from))
    )
  }
  return [g]
}

export const resizing: Record<string, Rule> = { Resize: resize }
