// Wrong arguments of kernels and arenas are named, whether the addon or the twins do the work, and reach no memory.
import t from 'tap'
import { InvalidParametersError } from '../../common/index.ts'
import { checked, int8Bytes, type Kernels, kernelLevels } from '../../native/index.ts'

const floats = (n: number) => new Float32Array(n).fill(1)

function detached(n: number): Float32Array {
  const x = floats(n)
  structuredClone(x, { transfer: [x.buffer] })
  return x
}

/** Calls that must be refused, with what the message must hold. */
const wrong: [string, (k: Kernels) => unknown, RegExp][] = [
  ['unequal lengths', k => k.add(floats(3), floats(4)), /add .*3 and 4/],
  ['unequal lengths of several', k => k.average(floats(3), [floats(3), floats(2)]), /average .*3 and 2/],
  ['nothing to average', k => k.average(floats(3), []), /at least one/],
  ['another type', k => k.add(floats(3), new Float64Array(3) as never), /Float32Array, not Float64Array/],
  ['no array', k => k.sumSquares(undefined as never), /Float32Array, not undefined/],
  ['a detached buffer', k => k.add(detached(4), detached(4)), /given away/],
  ['a detached source', k => k.dot(floats(0), detached(4)), /given away/],
  ['packed bytes of another length', k => k.packHalf(floats(3), new Uint8Array(7)), /6 packed bytes .*not 7/],
  ['packed bytes that are too few', k => k.unpackInt8(new Uint8Array(int8Bytes(5000) - 1), floats(5000)), /5008 packed bytes .*not 5007/],
  ['more than there are', k => k.topK(floats(3), new Uint32Array(4), floats(4)), /4 of 3/],
  ['no value for an index', k => k.scatterAdd(floats(3), new Uint32Array(2), floats(1)), /1 for 2/],
  ['a threshold of nothing', k => k.encodeThreshold(floats(3), 0, new Uint32Array(3)), /above 0/],
  ['a threshold that is none', k => k.encodeBitmap(floats(3), Number.NaN, new Uint8Array(1)), /above 0/],
  ['a bitmap too short', k => k.decodeBitmap(new Uint8Array(1), 1, floats(5)), /2 packed bytes .*not 1/],
  ['an unknown form', k => k.sgd(9, floats(1), floats(1), floats(1), floats(12)), /form 9/],
  ['state that is missing', k => k.sgd(1, floats(1), floats(1), undefined, floats(12)), /Float32Array, not undefined/],
  ['state of another length', k => k.adam(floats(5), floats(5), floats(5), floats(4), floats(12)), /5 and 4/],
  ['too few scalars', k => k.adam(floats(1), floats(1), floats(1), floats(1), floats(3)), /11 scalars, not 3/],
  ['a checksum of floats', k => k.checksum(floats(1) as never), /Uint8Array, not Float32Array/]
]

for (const [level, unchecked] of kernelLevels()) {
  const kernels = checked(unchecked)
  t.test(`${level}: wrong arguments are refused`, async t => {
    for (const [what, call, message] of wrong) {
      try {
        call(kernels)
        t.fail(`${what} was accepted`)
      } catch (error) {
        t.ok(error instanceof InvalidParametersError, what)
        t.match((error as Error).message, message)
      }
    }
  })

  t.test(`${level}: indices of a peer that lie outside change nothing`, async t => {
    const into = floats(4)
    t.notOk(kernels.scatterAdd(into, Uint32Array.of(0, 4), floats(2)))
    t.notOk(kernels.decodeThreshold(Uint32Array.of(1, 0x80000004), 1, into))
    t.same([...into], [1, 1, 1, 1])
  })

  if (level === 'typescript') continue
  t.test(`${level}: a call that came round the checks is refused by the addon itself`, async t => {
    for (const [what, call] of wrong) {
      if (/threshold|form|detached/.test(what)) continue
      t.throws(() => call(unchecked), what)
    }
    unchecked.add(detached(4), detached(4))
    t.throws(() => unchecked.add(floats(4), detached(4)))
  })
}

t.test('views at odd addresses are read where they are', async t => {
  for (const [level, unchecked] of kernelLevels()) {
    const bytes = new Uint8Array(101)
    const x = Float32Array.from({ length: 25 }, (_, i) => i)
    const back = floats(25)
    unchecked.packHalf(x, bytes.subarray(1, 51))
    unchecked.unpackHalf(bytes.subarray(1, 51), back)
    t.same(back, x, level)
  }
})
