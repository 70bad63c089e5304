import fc from 'fast-check'
import t from 'tap'
import { add, blend, combine } from '../../native/index.ts'

const floats = fc.array(fc.tuple(fc.float({ noNaN: true }), fc.float({ noNaN: true })), { maxLength: 50 })
const number = fc.double({ min: -10, max: 10, noNaN: true })
const f = Math.fround

/** Runs a kernel on the first column with the second, and the rule of one element beside it. */
function check(kernel: (into: Float32Array, from: Float32Array) => void, rule: (into: number, from: number) => number) {
  return (rows: [number, number][]) => {
    const into = Float32Array.from(rows, r => r[0])
    const from = Float32Array.from(rows, r => r[1])
    const expected = Float32Array.from(rows, r => rule(f(r[0]), f(r[1])))
    kernel(into, from)
    t.same(new Uint32Array(into.buffer), new Uint32Array(expected.buffer))
    t.same(
      from,
      Float32Array.from(rows, r => r[1]),
      'the source is left alone'
    )
  }
}

t.test('every element is rounded to float32 after every operation, and only then', async () => {
  fc.assert(
    fc.property(
      floats,
      check(add, (x, y) => f(y + x))
    )
  )
  fc.assert(
    fc.property(floats, number, (rows, a) =>
      check(
        (x, y) => blend(x, y, a),
        (x, y) => f(x + f(f(a) * f(y - x)))
      )(rows)
    )
  )
  fc.assert(
    fc.property(floats, number, number, (rows, a, b) =>
      check(
        (x, y) => combine(x, y, a, b),
        (x, y) => f(f(f(a) * x) + f(f(b) * y))
      )(rows)
    )
  )
})
