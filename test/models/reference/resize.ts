import type { Operator } from './node.ts'
import { forEachIndex, offset, ref, strides } from './tensor.ts'

function position(mode: string, i: number, scale: number, from: number, to: number): number {
  if (mode === 'asymmetric') return i / scale
  if (mode === 'align_corners') return to === 1 ? 0 : (i * (from - 1)) / (to - 1)
  if (mode === 'pytorch_half_pixel' && to === 1) return 0
  return (i + 0.5) / scale - 0.5
}

function rounded(mode: string, x: number): number {
  if (mode === 'floor') return Math.floor(x)
  if (mode === 'ceil') return Math.ceil(x)
  const below = Math.floor(x)
  if (x - below === 0.5) return mode === 'round_prefer_ceil' ? below + 1 : below
  return Math.round(x)
}

/** Nearest and linear, the corners of the cell that an output element falls into weighted by their distance. */
const resize: Operator = c => {
  const x = c.x[0]!
  const axes = c
    .ints(
      'axes',
      x.shape.map((_, i) => i)
    )
    .map(a => (a + x.shape.length) % x.shape.length)
  const shape = [...x.shape]
  const scale = x.shape.map(() => 1)
  axes.forEach((axis, k) => {
    const sizes = c.x[3]
    shape[axis] = sizes === undefined ? Math.floor(x.shape[axis] * c.x[2]!.data[k]) : sizes.data[k]
    scale[axis] = sizes === undefined ? c.x[2]!.data[k] : shape[axis] / x.shape[axis]
  })
  const coordinates = c.text('coordinate_transformation_mode', 'half_pixel')
  const linear = c.text('mode', 'nearest') === 'linear'
  const s = strides(x.shape)
  const y = ref(shape)
  const clamp = (v: number, d: number) => Math.min(Math.max(v, 0), x.shape[d] - 1)
  forEachIndex(shape, (index, flat) => {
    let corners: [number[], number][] = [[[], 1]]
    index.forEach((i, d) => {
      if (shape[d] === x.shape[d] && scale[d] === 1) {
        corners = corners.map(([at, w]) => [[...at, i], w])
        return
      }
      const p = position(coordinates, i, scale[d], x.shape[d], shape[d])
      if (!linear) {
        const at = clamp(rounded(c.text('nearest_mode', 'round_prefer_floor'), p), d)
        corners = corners.map(([rest, w]) => [[...rest, at], w])
        return
      }
      const q = clamp(p, d)
      const low = Math.floor(q)
      corners = corners.flatMap(([rest, w]): [number[], number][] => [
        [[...rest, low], w * (1 - (q - low))],
        [[...rest, clamp(low + 1, d)], w * (q - low)]
      ])
    })
    y.data[flat] = corners.reduce((sum, [at, w]) => sum + w * x.data[offset(at, s)], 0)
  })
  return [y]
}

export const resizing: Record<string, Operator> = { Resize: resize }
