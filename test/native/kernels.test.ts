// Every implementation of the kernels that this machine can run gives the bits of the TypeScript twins, on any floats.
import t from 'tap'
import type { Rng } from '../../common/index.ts'
import { int8Bytes, type Kernels, kernelLevels, nativeReport, SGD_FORMS } from '../../native/index.ts'
import { anyFloat, bitsOf, lengths, offset, seeded, tameFloat, twin } from './cases.ts'

type Argument = Float32Array | Uint32Array | Uint8Array | number | undefined | Float32Array[]

/** Arguments of one call for n floats. */
type Case = (n: number, rng: Rng) => Argument[]

const { seed, rng } = seeded()
const twins = kernelLevels().find(([level]) => level === 'typescript')![1]
const others = kernelLevels().filter(([level]) => level !== 'typescript')

/** n bytes at an odd or even address. */
function bytes(n: number, rng: Rng, filled = false): Uint8Array {
  const lead = rng.int(9)
  const view = new Uint8Array(lead + n + 3).fill(77).subarray(lead, lead + n)
  if (filled) for (let i = 0; i < n; i++) view[i] = rng.int(256)
  return view
}

function scalars(rng: Rng): Float32Array {
  return Float32Array.from({ length: 12 }, () => rng.float())
}

const positive = (rng: Rng) => Math.abs(anyFloat(rng))
const f = (n: number, rng: Rng) => offset(n, rng)

const cases: Record<keyof Kernels, Case> = {
  add: (n, r) => [f(n, r), f(n, r)],
  blend: (n, r) => [f(n, r), f(n, r), tameFloat(r)],
  combine: (n, r) => [f(n, r), f(n, r), tameFloat(r), tameFloat(r)],
  addScaled: (n, r) => [f(n, r), f(n, r), tameFloat(r)],
  scale: (n, r) => [f(n, r), tameFloat(r)],
  average: (n, r) => [f(n, r), Array.from({ length: 1 + r.int(5) }, () => f(n, r))],
  dot: (n, r) => [f(n, r), f(n, r)],
  sumSquares: (n, r) => [f(n, r)],
  sumAbs: (n, r) => [f(n, r)],
  maxAbs: (n, r) => [f(n, r)],
  packHalf: (n, r) => [f(n, r), bytes(2 * n, r)],
  unpackHalf: (n, r) => [bytes(2 * n, r, true), f(n, r)],
  packBfloat: (n, r) => [f(n, r), bytes(2 * n, r)],
  unpackBfloat: (n, r) => [bytes(2 * n, r, true), f(n, r)],
  packInt8: (n, r) => [offset(n, r, r.int(2) === 0 ? anyFloat : tameFloat), bytes(int8Bytes(n), r)],
  unpackInt8: (n, r) => [bytes(int8Bytes(n), r, true), f(n, r)],
  topK: (n, r) => {
    const k = r.int(2) === 0 ? Math.min(n, 5) : r.int(n + 1)
    return [offset(n, r, r.int(2) === 0 ? anyFloat : r => r.int(5) - 2), new Uint32Array(k), new Float32Array(k)]
  },
  scatterAdd: (n, r) => [f(n, r), Uint32Array.from({ length: n }, () => r.int(n + (r.int(200) === 0 ? 1 : 0))), f(n, r)],
  encodeThreshold: (n, r) => [f(n, r), 0.5, new Uint32Array(r.int(n + 1))],
  decodeThreshold: (n, r) => [Uint32Array.from({ length: n >> 1 }, () => (r.int(n) | (r.int(2) << 31)) >>> 0), 0.25, f(n, r)],
  encodeBitmap: (n, r) => [f(n, r), 0.5, bytes(Math.ceil(n / 4), r)],
  decodeBitmap: (n, r) => [bytes(Math.ceil(n / 4), r, true), 0.25, f(n, r)],
  sgd: (n, r) => [r.int(SGD_FORMS.length), f(n, r), f(n, r), f(n, r), scalars(r)],
  adagrad: (n, r) => [f(n, r), f(n, r), offset(n, r, positive), scalars(r)],
  adadelta: (n, r) => [f(n, r), f(n, r), offset(n, r, positive), offset(n, r, positive), scalars(r)],
  rmsprop: (n, r) => [f(n, r), f(n, r), offset(n, r, positive), r.int(2) === 0 ? undefined : f(n, r), scalars(r)],
  adam: (n, r) => [f(n, r), f(n, r), f(n, r), offset(n, r, positive), scalars(r)],
  lambMoments: (n, r) => [f(n, r), f(n, r), f(n, r), offset(n, r, positive), scalars(r)],
  lambApply: (n, r) => [f(n, r), f(n, r), offset(n, r, positive), scalars(r)],
  checksum: (n, r) => [bytes(n % 2 === 0 ? n : 5 * n, r, true), r.uint32()]
}

/** Calls one implementation on copies; what it gives back and what it leaves in memory. */
function outcome(kernels: Kernels, name: keyof Kernels, args: Argument[]): string[] {
  const copies = args.map(a => (Array.isArray(a) ? a.map(twin) : typeof a === 'object' ? twin(a) : a))
  const result = (kernels[name] as (...args: unknown[]) => unknown)(...copies)
  return [String(result), ...copies.flatMap(c => (Array.isArray(c) ? c.map(bitsOf) : typeof c === 'object' ? [bitsOf(c)] : []))]
}

if (others.length === 0) t.comment(`only the twins are here: ${nativeReport().problem}`)
t.comment(`seed ${seed}; levels ${others.map(([level]) => level).join(' ')}`)

for (const [level, kernels] of others) {
  t.test(`${level}: every kernel gives the twin's bits on any floats, lengths and addresses, and touches nothing beside them`, async t => {
    for (const [name, make] of Object.entries(cases) as [keyof Kernels, Case][]) {
      for (const n of lengths(rng)) {
        const args = make(n, rng)
        if (outcome(kernels, name, args).join() !== outcome(twins, name, args).join()) t.fail(`${name} of ${n} floats, seed ${seed}`)
      }
    }
    t.pass(`${Object.keys(cases).length} kernels`)
  })

  t.test(`${level}: an array may be both argument and result`, async t => {
    for (const name of ['add', 'blend', 'combine', 'addScaled'] as const) {
      const x = offset(1001, rng, tameFloat)
      const [a, b] = [twin(x), twin(x)]
      ;(kernels[name] as any)(a, a, 0.3, 0.7)
      ;(twins[name] as any)(b, b, 0.3, 0.7)
      t.equal(bitsOf(a), bitsOf(b), name)
    }
    const x = offset(5000, rng, tameFloat)
    const y = offset(5000, rng, tameFloat)
    const [a, b] = [twin(x), twin(x)]
    kernels.average(a, [y, a])
    twins.average(b, [y, b])
    t.equal(bitsOf(a), bitsOf(b), 'average')
  })
}

t.test('halves and bfloats of every pattern come back as they were', async t => {
  const patterns = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
  for (const [level, k] of kernelLevels()) {
    for (const [pack, unpack, quiet, infinite] of [
      ['packHalf', 'unpackHalf', 0x200, 0x7c00],
      ['packBfloat', 'unpackBfloat', 0x40, 0x7f80]
    ] as const) {
      const floats = new Float32Array(65536)
      const back = new Uint16Array(65536)
      k[unpack](patterns, floats)
      k[pack](floats, new Uint8Array(back.buffer))
      const wrong = [...back.keys()].filter(i => back[i] !== i && back[i] !== ((i & 0x7fff) > infinite ? i | quiet : i))
      t.same(wrong.slice(0, 5), [], `${level} ${pack}`)
    }
  }
})

t.test('the checksum is CRC-32C, in pieces as in one', async t => {
  for (const [level, k] of kernelLevels()) {
    t.equal(k.checksum(Buffer.from('123456789')), 0xe3069283, level)
    t.equal(k.checksum(Buffer.from('6789'), k.checksum(Buffer.from('12345'))), 0xe3069283, level)
  }
})

t.test('what int8 blocks lose is at most half a unit of the block', async t => {
  const x = offset(9000, rng, tameFloat)
  const packed = new Uint8Array(int8Bytes(x.length))
  const back = new Float32Array(x.length)
  twins.packInt8(x, packed)
  twins.unpackInt8(packed, back)
  for (let start = 0; start < x.length; start += 4096) {
    const unit = twins.maxAbs(x.subarray(start, start + 4096)) / 127
    const worst = Math.max(...Array.from(x.subarray(start, start + 4096), (v, i) => Math.abs(v - back[start + i]!)))
    t.ok(worst <= unit * 0.5001, `${worst} of ${unit}`)
  }
})

t.test('top-k are the largest, equals by index', async t => {
  const x = Float32Array.of(1, -3, 2, 3, -3, 0)
  const indices = new Uint32Array(3)
  const values = new Float32Array(3)
  twins.topK(x, indices, values)
  t.same([...indices], [1, 3, 4])
  t.same([...values], [-3, 3, -3])
  twins.topK(x, indices.subarray(0, 2), values.subarray(0, 2))
  t.same([...indices.subarray(0, 2)], [1, 3])
})

t.test('threshold: what was taken from the residual is what arrives', async t => {
  const residual = Float32Array.of(0.5, -2, 1, 3, -1)
  const arrived = new Float32Array(5)
  const words = new Uint32Array(5)
  const count = twins.encodeThreshold(residual, 1, words)
  t.equal(count, 2)
  t.ok(twins.decodeThreshold(words.subarray(0, count), 1, arrived))
  t.same([...arrived], [0, -1, 0, 1, 0])
  t.same([...residual], [0.5, -1, 1, 2, -1])
  const bitmap = new Uint8Array(2)
  t.equal(twins.encodeBitmap(residual, 0.75, bitmap), 4)
  twins.decodeBitmap(bitmap, 0.75, arrived)
  t.same([...arrived], [0, -1.75, 0.75, 1.75, -0.75])
})
