import { createRng, type Rng, shuffle } from '../common/index.ts'
import { drawSegment, type Sheet, turn } from './pen.ts'
import type { Draw } from './splits.ts'

/** `[channels, height, width]` of `shapes32`. */
export const SHAPES32_SHAPE = [3, 32, 32]
const SIDE = 32
const PLANE = SIDE * SIDE

/**
 * How far inside a figure of size `r` the point (u, v) lies, pixels; negative outside. The class of a picture is the index in {@link figures}.
 */
type Figure = (u: number, v: number, r: number) => number

const figures: Figure[] = [
  // disc
  (u, v, r) => r - Math.sqrt(u * u + v * v),
  // ring
  (u, v, r) => 0.2 * r - Math.abs(Math.sqrt(u * u + v * v) - 0.85 * r),
  // square
  (u, v, r) => 0.85 * r - Math.max(Math.abs(u), Math.abs(v)),
  // triangle
  (u, v, r) => 0.6 * r - Math.max(v, 0.8660254037844386 * Math.abs(u) - 0.5 * v),
  // cross
  (u, v, r) => Math.max(Math.min(r - Math.abs(u), 0.32 * r - Math.abs(v)), Math.min(0.32 * r - Math.abs(u), r - Math.abs(v))),
  star,
  // crescent
  (u, v, r) => Math.min(r - Math.sqrt(u * u + v * v), Math.sqrt((u - 0.5 * r) * (u - 0.5 * r) + v * v) - 0.8 * r),
  // stripes
  (u, _v, r) => band(u, 0.7 * r),
  // checks
  (u, v, r) => {
    const a = band(u, 0.9 * r)
    const b = band(v, 0.9 * r)
    return (a > 0 === b > 0 ? 1 : -1) * Math.min(Math.abs(a), Math.abs(b))
  },
  // dots
  (u, v, r) => {
    const a = cell(u, 0.8 * r)
    const b = cell(v, 0.8 * r)
    return 0.26 * r - Math.sqrt(a * a + b * b)
  }
]

/** Figures from here on are textures: they fill a patch of the picture instead of standing in it. */
const FIRST_TEXTURE = 7

/** What the classes of `shapes32` show, in order. */
export const shapes32Classes = ['disc', 'ring', 'square', 'triangle', 'cross', 'star', 'crescent', 'stripes', 'checks', 'dots']

/**
 * Draws coloured shapes and textures. Sample `id` depends on (seed, id) alone; in each block of ten ids every class comes once.
 *
 * Colours say nothing about the class: the figure takes any that is brighter than the ground, which shades from one colour to another. The figure
 * is turned by up to 33° and may be mirrored, its size and place vary, strokes in another colour may cross it, and noise lies over all.
 */
export function shapeDrawer(seed: number): Draw {
  const clutter: Sheet = { side: SIDE, ink: new Float32Array(PLANE) }
  const classes = new Uint8Array(figures.length)
  const colours = new Float64Array(12)
  let block = -1
  return (id, into, offset) => {
    const at = Math.floor(id / figures.length)
    if (at !== block) {
      for (let i = 0; i < classes.length; i++) classes[i] = i
      shuffle(classes, createRng(`shapes32/${seed}/classes/${at}`))
      block = at
    }
    const label = classes[id % figures.length]!
    const rng = createRng(`shapes32/${seed}/${id}`)
    pickColours(rng, colours)
    drawClutter(clutter, rng)
    paint(label, colours, clutter.ink, rng, into, offset)
    return label
  }
}

function paint(label: number, colours: Float64Array, clutter: Float32Array, rng: Rng, into: Uint8Array, offset: number): void {
  const figure = figures[label]!
  const texture = label >= FIRST_TEXTURE
  const [cos, sin] = turn(0.3 * (2 * rng.float() - 1))
  const flip = rng.float() < 0.5 ? -1 : 1
  const size = 7 + 5.5 * rng.float()
  const cx = (SIDE - 1) / 2 + (2 * rng.float() - 1) * 3.5
  const cy = (SIDE - 1) / 2 + (2 * rng.float() - 1) * 3.5
  const patch = 10 + 10 * rng.float()
  const noise = 10 + 40 * rng.float()
  // the ground's shade along a direction, 0 … 1 over the picture
  const gx = (2 * rng.float() - 1) / SIDE
  const gy = (2 * rng.float() - 1) / SIDE
  for (let y = 0, i = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, i++) {
      const px = x - cx
      const py = y - cy
      let inside = figure(flip * (cos * px + sin * py), cos * py - sin * px, size)
      if (texture) inside = Math.min(inside, patch - Math.sqrt(px * px + py * py))
      const cover = clamp(inside + 0.5, 1)
      const line = clutter[i]!
      const shade = 0.5 + gx * (x - SIDE / 2) + gy * (y - SIDE / 2)
      for (let c = 0; c < 3; c++) {
        let value = colours[c]! + shade * (colours[3 + c]! - colours[c]!)
        value += cover * (colours[6 + c]! - value)
        value += line * (colours[9 + c]! - value)
        value += (rng.float() - 0.5) * noise
        into[offset + c * PLANE + i] = Math.floor(clamp(value, 255))
      }
    }
  }
}

/**
 * Two colours of the ground, any one of the figure that is brighter than both by at least 120 in the sum over the channels, any one of the clutter.
 */
function pickColours(rng: Rng, colours: Float64Array): void {
  let ground = 0
  let shaded = 0
  let figure = 0
  while (figure - Math.max(ground, shaded) < 120) {
    ground = 0
    shaded = 0
    figure = 0
    for (let c = 0; c < 3; c++) {
      colours[c] = 200 * rng.float()
      colours[3 + c] = clamp(colours[c]! + 120 * (rng.float() - 0.5), 255)
      colours[6 + c] = 255 * rng.float()
      colours[9 + c] = 255 * rng.float()
      ground += colours[c]!
      shaded += colours[3 + c]!
      figure += colours[6 + c]!
    }
  }
}

/** Up to two strokes across the picture. */
function drawClutter(sheet: Sheet, rng: Rng): void {
  sheet.ink.fill(0)
  for (let n = rng.int(3); n > 0; n--) {
    const x = rng.float() * SIDE
    const y = rng.float() * SIDE
    drawSegment(sheet, x, y, x + 24 * (rng.float() - 0.5), y + 24 * (rng.float() - 0.5), 0.8 + 1.4 * rng.float())
  }
}

/** A star of five points: folded into one half of one point, whose border is a line from the tip (0, r) to the notch between points. */
function star(u: number, v: number, r: number): number {
  let x = Math.abs(u)
  let y = v
  // mirror at the lines 36° and 72° from the tip's axis
  const d1 = x * 0.8090169943749475 - y * 0.5877852522924731
  if (d1 > 0) {
    x -= 2 * d1 * 0.8090169943749475
    y += 2 * d1 * 0.5877852522924731
  }
  const d2 = -x * 0.8090169943749475 - y * 0.5877852522924731
  if (d2 > 0) {
    x += 2 * d2 * 0.8090169943749475
    y += 2 * d2 * 0.5877852522924731
  }
  x = Math.abs(x)
  // the notch lies at 36°, 0.42 of the way out
  const tip = 1.1 * r
  const nx = 0.42 * tip * 0.5877852522924731
  const ny = 0.42 * tip * 0.8090169943749475
  const ex = nx
  const ey = ny - tip
  return (ex * (y - tip) - ey * x < 0 ? 1 : -1) * (Math.abs(ex * (y - tip) - ey * x) / Math.sqrt(ex * ex + ey * ey))
}

/** Distance into the nearest band of a row of bands, one a `period`, half of it wide; negative between them. */
function band(u: number, period: number): number {
  return 0.25 * period - Math.abs(cell(u, period))
}

/** Distance from the middle of the cell of a grid. */
function cell(u: number, period: number): number {
  const at = u / period
  return (at - Math.floor(at) - 0.5) * period
}

function clamp(x: number, max: number): number {
  return x < 0 ? 0 : x > max ? max : x
}
