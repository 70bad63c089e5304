import type { OptimizerLayout, OptimizerSpec } from '../../../../actors/training/optimizers/index.ts'

type Settings = Record<string, any>

/** One parameter tensor and its state in float64, by the textbook. */
interface Tensor {
  w: Float64Array
  a: Float64Array
  b: Float64Array
}

const norm = (x: Float64Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0))

/** A float64 optimizer that follows the papers' formulas and nothing of the implementation's. @returns what one step does */
export function reference(spec: OptimizerSpec, layout: OptimizerLayout, start: Float32Array) {
  const s = spec as Settings
  const tensors: Tensor[] = layout.parameters.map(({ offset, size }) => ({
    w: Float64Array.from(start.subarray(offset, offset + size)),
    a: new Float64Array(size),
    b: new Float64Array(size)
  }))
  let t = 0
  return {
    step(gradients: Float32Array, rate: number, scale: number): Float64Array {
      t++
      const g = Float64Array.from(gradients.subarray(0, layout.total), x => x * scale)
      const all = norm(g)
      const clip = s['clipNorm'] !== undefined && all > s['clipNorm'] ? s['clipNorm'] / all : 1
      const result = new Float64Array(layout.total)
      for (const [i, { offset, size, lrMult, decayMult }] of layout.parameters.entries()) {
        const part = g.subarray(offset, offset + size).map(x => x * clip)
        one(s, tensors[i]!, part, rate * lrMult, decayMult, t)
        result.set(tensors[i]!.w, offset)
      }
      return result
    }
  }
}

function one(s: Settings, { w, a, b }: Tensor, g: Float64Array, rate: number, decayMult: number, t: number): void {
  const { weightDecay = 0, l1 = 0, momentum = s['name'] === 'lars' ? 0.9 : 0, nesterov = false, form = 'pytorch' } = s
  const d = weightDecay * decayMult
  const decoupled = s['name'] === 'adamw' || s['name'] === 'lamb'
  const { beta1 = 0.9, beta2 = 0.999 } = s
  const grad = g.map((x, i) => x + (decoupled ? 0 : d * w[i]!) + l1 * decayMult * Math.sign(w[i]!))
  const epsilon = s['epsilon'] ?? { adagrad: 1e-10, adadelta: 1e-6, rmsprop: 1e-8, lamb: 1e-6, lars: 0 }[s['name'] as string] ?? 1e-8
  const rho = s['rho'] ?? (s['name'] === 'adadelta' ? 0.9 : 0.99)
  switch (s['name']) {
    case 'adagrad':
      for (const i of w.keys()) {
        a[i]! += grad[i]! ** 2
        w[i]! -= (rate * grad[i]!) / (Math.sqrt(a[i]!) + epsilon)
      }
      return
    case 'adadelta':
      for (const i of w.keys()) {
        a[i] = rho * a[i]! + (1 - rho) * grad[i]! ** 2
        const step = Math.sqrt((b[i]! + epsilon) / (a[i]! + epsilon)) * grad[i]!
        b[i] = rho * b[i]! + (1 - rho) * step ** 2
        w[i]! -= rate * step
      }
      return
    case 'rmsprop':
      for (const i of w.keys()) {
        a[i] = rho * a[i]! + (1 - rho) * grad[i]! ** 2
        b[i] = momentum * b[i]! + grad[i]! / (Math.sqrt(a[i]!) + epsilon)
        w[i]! -= rate * b[i]!
      }
      return
    case 'adam':
    case 'adamw':
    case 'lamb': {
      const u = new Float64Array(w.length)
      for (const i of w.keys()) {
        a[i] = beta1 * a[i]! + (1 - beta1) * grad[i]!
        b[i] = beta2 * b[i]! + (1 - beta2) * grad[i]! ** 2
        const mean = a[i]! / (1 - beta1 ** t)
        const correction = Math.sqrt(1 - beta2 ** t)
        const root = Math.sqrt(b[i]!)
        u[i] = form === 'caffe' ? (mean * correction) / (root + epsilon) : mean / (root / correction + epsilon)
        if (decoupled) u[i]! += d * w[i]!
      }
      const ratio = s['name'] === 'lamb' && decayMult !== 0 && norm(w) > 0 && norm(u) > 0 ? norm(w) / norm(u) : 1
      for (const i of w.keys()) w[i]! -= rate * ratio * u[i]!
      return
    }
    case 'lars': {
      const { trust = 0.001 } = s
      const adapts = decayMult !== 0 && norm(w) > 0 && norm(g) > 0
      const local = rate * (adapts ? (trust * norm(w)) / (norm(g) + d * norm(w) + epsilon) : 1)
      for (const i of w.keys()) {
        const old = a[i]!
        a[i] = momentum * old + local * grad[i]!
        w[i]! -= nesterov ? (1 + momentum) * a[i]! - momentum * old : a[i]!
      }
      return
    }
    default:
      for (const i of w.keys()) {
        const old = a[i]!
        a[i] = momentum * old + (form === 'caffe' ? rate : 1) * grad[i]!
        if (form === 'caffe') w[i]! -= nesterov ? (1 + momentum) * a[i]! - momentum * old : a[i]!
        else w[i]! -= rate * (nesterov ? grad[i]! + momentum * a[i]! : a[i]!)
      }
  }
}
