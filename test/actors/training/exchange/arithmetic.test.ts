import t from 'tap'
import { type Arenas, type ArithmeticEffect, carryOut, isArithmetic, type Range, view } from '../../../../actors/training/exchange/index.ts'
import { createRng } from '../../../../common/index.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const range = (arena: Range['arena'], offset: number, length: number): Range => ({ arena, offset, length })
const f = Math.fround

t.test('every effect touches exactly its range and rounds each operation to float32', async t => {
  const rng = createRng(seed)
  const formulas: [(into: Range, from: Range) => ArithmeticEffect, (into: number, from: number, by: number) => number][] = [
    [(into, from) => ({ type: 'copy', into, from }), (_, from) => from],
    [(into, from) => ({ type: 'reduce', into, from }), (into, from) => f(from + into)],
    [(into, from) => ({ type: 'blend', into, from, factor: 0.3 }), (into, from) => f(into + f(f(0.3) * f(from - into)))],
    [(into, from) => ({ type: 'multiply', into, from, by: range('state', 20, 20) }), (_, from, by) => f(from * by)],
    [(into, from) => ({ type: 'divide', into, from, by: range('state', 20, 20) }), (_, from, by) => f(from / by)],
    [(into, from) => ({ type: 'divide', into, from, by: range('optimizer', 0, 1) }), () => 0],
    [(into, from) => ({ type: 'root', into, from, epsilon: 0.5 }), (_, from) => f(Math.sqrt(f(Math.max(0, from) + 0.5)))],
    [into => ({ type: 'offset', into, value: 0.1 }), into => f(into + f(0.1))],
    [into => ({ type: 'fill', into, value: 7 }), () => 7],
    [(into, from) => ({ type: 'combine', into, from, alpha: 0.9, beta: -0.1 }), (into, from) => f(f(f(0.9) * into) + f(f(-0.1) * from))]
  ]
  for (const [effect, formula] of formulas) {
    const fresh = () => Float32Array.from({ length: 50 }, () => rng.normal())
    const arenas: Arenas = {
      gradients: fresh(),
      parameters: fresh(),
      optimizer: fresh(),
      outgoing: fresh(),
      landing: fresh(),
      state: fresh()
    }
    arenas.optimizer[0] = 0
    const expected = arenas.gradients.map((x, i) => (i >= 10 && i < 30 ? formula(x, arenas.landing[i - 7], arenas.state[i + 10]) : x))
    const landing = arenas.landing.slice()
    const made = effect(range('gradients', 10, 20), range('landing', 3, 20))
    t.ok(isArithmetic(made))
    carryOut(made, arenas)
    t.same(arenas.gradients, expected, made.type)
    t.same(arenas.landing, landing)
  }
  t.notOk(isArithmetic({ type: 'apply', step: 1 }))
})

t.test('ranges outside their arena, or of different lengths, are refused', async t => {
  const arenas: Arenas = {
    gradients: new Float32Array(4),
    parameters: new Float32Array(4),
    optimizer: new Float32Array(0),
    outgoing: new Float32Array(0),
    landing: new Float32Array(4),
    state: new Float32Array(0)
  }
  for (const bad of [range('gradients', -1, 2), range('gradients', 3, 2), range('outgoing', 0, 1), range('state', 0, -1)]) {
    t.throws(() => view(arenas, bad), RangeError)
  }
  t.equal(view(arenas, range('outgoing', 0, 0)).length, 0)
  t.throws(() => carryOut({ type: 'copy', into: range('gradients', 0, 3), from: range('landing', 0, 2) }, arenas), RangeError)
})
