/**
 * The kernels against memory: GB/s of each, for every level that this machine can run, beside the bandwidth of copying and adding taken
 * in the same run.
 *
 *   node bench/kernels.ts [--floats 16777216] [--repeats 9] [--levels avx512,typescript] [--only sgd,adam] [--json]
 *
 * Bytes are those that a kernel must read and write, what the cache fetches before a write not counted. GB are 10⁹ bytes; medians. The last
 * column is the best bandwidth of the three yardsticks over the kernel's: 1.5 and less is what is aimed at where memory is the limit.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { createRng } from '../common/index.ts'
import { int8Bytes, type Kernels, kernelLevels, type Level, SGD_FORMS } from '../native/index.ts'

const { values } = parseArgs({
  options: {
    floats: { type: 'string', default: String(2 ** 24) },
    repeats: { type: 'string', default: '9' },
    levels: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const n = Math.max(4096, Math.floor(Number(values.floats) / 4096) * 4096)
const repeats = Math.max(1, Number(values.repeats))
const only = values.only?.split(',')

interface Row {
  level: string
  kernel: string
  ms: number
  gigabytesASecond: number
  timesBandwidth: number
}

const rng = createRng(1)
const draw = (scale: number) => {
  // One drawn piece again and again: drawing all would take longer than the benchmark.
  const piece = Float32Array.from({ length: 4096 }, () => rng.normal() * scale)
  const all = new Float32Array(n)
  for (let at = 0; at < n; at += piece.length) all.set(piece, at)
  return all
}

const [w, g, m] = [draw(1), draw(0.1), draw(0.1)]
const [v, u] = [draw(0.1).map(Math.abs), draw(0.1).map(Math.abs)]
const halves = new Uint8Array(2 * n)
const codes = new Uint8Array(int8Bytes(n))
const bitmap = new Uint8Array(n / 4)
const k = Math.floor(n / 1000)
const [indices, picked, words] = [new Uint32Array(k), new Float32Array(k), new Uint32Array(n)]
// Rates so small, and shares such, that the thousandth call computes on numbers like the first.
const scalars = {
  sgd: Float32Array.of(1e-3, 1e-4, 0, 1e-6, 0.9, 1.9),
  adagrad: Float32Array.of(1e-3, 1e-4, 0, 1e-6, 1e-8),
  adadelta: Float32Array.of(1e-3, 1e-4, 0, 1e-6, 1e-6, 0.9, 0.1),
  rmsprop: Float32Array.of(1e-3, 1e-4, 0, 1e-6, 1e-8, 0.9, 0.1, 0.9),
  adam: Float32Array.of(1e-3, 0, 0, 1e-6, 1e-8, 0.9, 0.1, 0.999, 0.001, 1, 1),
  lamb: Float32Array.of(1e-3, 0, 0, 1e-6, 1e-8, 0.9, 0.1, 0.999, 0.001, 1, 1, 1e-4)
}

/** Bytes a float, and the call. */
const cases: Record<string, [bytes: number, run: (kernels: Kernels) => void]> = {
  add: [12, x => x.add(m, g)],
  addScaled: [12, x => x.addScaled(m, g, 1e-9)],
  blend: [12, x => x.blend(m, g, 1e-9)],
  combine: [12, x => x.combine(m, g, 1, 1e-9)],
  'average of 3': [16, x => x.average(m, [g, g, m])],
  sumSquares: [4, x => x.sumSquares(g)],
  sumAbs: [4, x => x.sumAbs(g)],
  maxAbs: [4, x => x.maxAbs(g)],
  dot: [8, x => x.dot(g, w)],
  packHalf: [6, x => x.packHalf(g, halves)],
  unpackHalf: [6, x => x.unpackHalf(halves, m)],
  packBfloat: [6, x => x.packBfloat(g, halves)],
  unpackBfloat: [6, x => x.unpackBfloat(halves, m)],
  packInt8: [5, x => x.packInt8(g, codes)],
  unpackInt8: [5, x => x.unpackInt8(codes, m)],
  'topK of 0.1 %': [4, x => x.topK(g, indices, picked)],
  encodeThreshold: [4, x => x.encodeThreshold(w, 1e9, words)],
  encodeBitmap: [8.25, x => x.encodeBitmap(w, 1e9, bitmap)],
  decodeBitmap: [8.25, x => x.decodeBitmap(bitmap, 1e-9, m)],
  checksum: [4, x => x.checksum(new Uint8Array(g.buffer))],
  'sgd plain': [12, x => x.sgd(0, w, g, undefined, scalars.sgd)],
  ...Object.fromEntries(
    SGD_FORMS.slice(1).map((form, i): [string, [number, (x: Kernels) => void]] => [
      `sgd ${form}`,
      [20, x => x.sgd(i + 1, w, g, m, scalars.sgd)]
    ])
  ),
  adagrad: [20, x => x.adagrad(w, g, v, scalars.adagrad)],
  adadelta: [28, x => x.adadelta(w, g, v, u, scalars.adadelta)],
  rmsprop: [28, x => x.rmsprop(w, g, v, m, scalars.rmsprop)],
  adam: [28, x => x.adam(w, g, m, v, scalars.adam)],
  lambMoments: [24, x => x.lambMoments(w, g, m, v, scalars.lamb)],
  lambApply: [16, x => x.lambApply(w, m, v, scalars.lamb)]
}

function median(run: () => void): number {
  run()
  const times = Array.from({ length: repeats }, () => {
    const start = performance.now()
    run()
    return performance.now() - start
  })
  return times.sort((a, b) => a - b)[repeats >> 1]!
}

const rate = (bytes: number, ms: number) => (bytes * n) / ms / 1e6
const levels = kernelLevels().filter(([level]) => values.levels?.split(',').includes(level) ?? true)
const best = kernelLevels()[0]![1]
const yardsticks: Record<string, number> = {
  'copy (memcpy)': rate(
    8,
    median(() => m.set(g))
  ),
  'read (Σ x²)': rate(
    4,
    median(() => best.sumSquares(g))
  ),
  'add (a += b)': rate(
    12,
    median(() => best.add(m, g))
  )
}
const bandwidth = Math.max(...Object.values(yardsticks))

const rows: Row[] = []
for (const [level, kernels] of levels as [Level, Kernels][]) {
  for (const [kernel, [bytes, run]] of Object.entries(cases)) {
    if (only !== undefined && !only.some(name => kernel.startsWith(name))) continue
    const ms = median(() => run(kernels))
    const gigabytesASecond = rate(bytes, ms)
    rows.push({ level, kernel, ms, gigabytesASecond, timesBandwidth: bandwidth / gigabytesASecond })
  }
}

if (values.json) {
  console.log(JSON.stringify({ floats: n, repeats, processor: cpus()[0]?.model, yardsticks, rows }, null, 2))
} else {
  console.log(`${n} floats, ${cpus()[0]?.model}, ${process.version}, median of ${repeats}`)
  for (const [name, gigabytes] of Object.entries(yardsticks)) console.log(`  ${name.padEnd(20)} ${gigabytes.toFixed(1).padStart(6)} GB/s`)
  for (const { level, kernel, ms, gigabytesASecond, timesBandwidth } of rows) {
    const columns = [ms.toFixed(2).padStart(9), gigabytesASecond.toFixed(1).padStart(6), timesBandwidth.toFixed(2).padStart(7)]
    console.log(`${level.padEnd(11)} ${kernel.padEnd(22)} ${columns[0]} ms ${columns[1]} GB/s ${columns[2]}×`)
  }
}
