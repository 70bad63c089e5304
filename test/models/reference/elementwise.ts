import type { Operator } from './node.ts'
import { map, type Ref, zip } from './tensor.ts'

/** erf to float64's precision: series for small arguments, continued fraction (Lentz) for large (Abramowitz & Stegun 7.1.5, 7.1.14). */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (a < 3) {
    let term = a
    let sum = a
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-a * a) / n
      sum += term / (2 * n + 1)
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum
  }
  let f = 0
  for (let k = 120; k >= 1; k--) f = k / 2 / (a + f)
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + f))
}

const unary =
  (f: (x: number) => number): Operator =>
  c => [map(f, c.x[0]!)]

const binary =
  (f: (a: number, b: number) => number): Operator =>
  c => [zip(f, c.x[0]!, c.x[1]!)]

const variadic =
  (f: (values: number[]) => number): Operator =>
  c => [zip((...values) => f(values), ...(c.x as Ref[]))]

const yes = (b: boolean) => (b ? 1 : 0)
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

function even(x: number): number {
  const r = Math.round(x)
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
}

export const elementwise: Record<string, Operator> = {
  Identity: c => [c.x[0]!],
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: c => [zip((a, b) => (c.isInteger(0) ? Math.trunc(a / b) : a / b), c.x[0]!, c.x[1]!)],
  Pow: binary((a, b) => a ** b),
  Mod: c => [zip((a, b) => (c.int('fmod', 0) !== 0 ? a % b : a - Math.floor(a / b) * b), c.x[0]!, c.x[1]!)],
  Min: variadic(v => Math.min(...v)),
  Max: variadic(v => Math.max(...v)),
  Sum: variadic(v => v.reduce((a, b) => a + b)),
  Mean: variadic(v => v.reduce((a, b) => a + b) / v.length),
  Equal: binary((a, b) => yes(a === b)),
  Less: binary((a, b) => yes(a < b)),
  LessOrEqual: binary((a, b) => yes(a <= b)),
  Greater: binary((a, b) => yes(a > b)),
  GreaterOrEqual: binary((a, b) => yes(a >= b)),
  And: binary((a, b) => yes(a !== 0 && b !== 0)),
  Or: binary((a, b) => yes(a !== 0 || b !== 0)),
  Xor: binary((a, b) => yes((a !== 0) !== (b !== 0))),
  Not: unary(x => yes(x === 0)),
  IsNaN: unary(x => yes(Number.isNaN(x))),
  Where: c => [zip((p, a, b) => (p !== 0 ? a : b), c.x[0]!, c.x[1]!, c.x[2]!)],
  Cast: c => {
    const to = c.int('to', 1)
    if (to === 9) return [map(x => yes(x !== 0), c.x[0]!)]
    return [to === 6 || to === 7 ? map(Math.trunc, c.x[0]!) : c.x[0]!]
  },
  Neg: unary(x => -x),
  Abs: unary(Math.abs),
  Sign: unary(Math.sign),
  Reciprocal: unary(x => 1 / x),
  Sqrt: unary(Math.sqrt),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Erf: unary(erf),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Tan: unary(Math.tan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Atan: unary(Math.atan),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Asinh: unary(Math.asinh),
  Acosh: unary(Math.acosh),
  Atanh: unary(Math.atanh),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(even),
  Tanh: unary(Math.tanh),
  Sigmoid: unary(sigmoid),
  Relu: unary(x => Math.max(x, 0)),
  LeakyRelu: c => [map(x => (x >= 0 ? x : c.float('alpha', 0.01) * x), c.x[0]!)],
  PRelu: binary((x, s) => (x >= 0 ? x : s * x)),
  Elu: c => [map(x => (x >= 0 ? x : c.float('alpha', 1) * Math.expm1(x)), c.x[0]!)],
  Celu: c => {
    const a = c.float('alpha', 1)
    return [map(x => Math.max(0, x) + Math.min(0, a * Math.expm1(x / a)), c.x[0]!)]
  },
  Selu: c => {
    const alpha = c.float('alpha', Math.fround(1.6732631921768188))
    const gamma = c.float('gamma', Math.fround(1.0507010221481323))
    return [map(x => gamma * (x > 0 ? x : alpha * Math.expm1(x)), c.x[0]!)]
  },
  Softplus: unary(softplus),
  Softsign: unary(x => x / (1 + Math.abs(x))),
  HardSigmoid: c => [map(x => Math.max(0, Math.min(1, c.float('alpha', Math.fround(0.2)) * x + c.float('beta', 0.5))), c.x[0]!)],
  HardSwish: unary(x => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Mish: unary(x => x * Math.tanh(softplus(x))),
  ThresholdedRelu: c => [map(x => (x > c.float('alpha', 1) ? x : 0), c.x[0]!)],
  Gelu: c => [
    map(
      c.text('approximate', 'none') === 'tanh'
        ? x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
        : x => 0.5 * x * (1 + erf(x / Math.SQRT2)),
      c.x[0]!
    )
  ],
  Clip: c => [map(x => Math.min(Math.max(x, c.x[1]?.data[0] ?? -Infinity), c.x[2]?.data[0] ?? Infinity), c.x[0]!)]
}
