import { join } from './elementwise.ts'

const f = Math.fround
const { sqrt } = Math

/** The gradient as every rule takes it: the mean, with L2 and L1 decay. */
function gradient(g: number, w: number, scale: number, decay: number, l1: number): number {
  return f(f(f(g * scale) + f(decay * w)) + ((w > 0 ? l1 : 0) - (w < 0 ? l1 : 0)))
}

export function sgd(form: number, w: Float32Array, g: Float32Array, v: Float32Array | undefined, scalars: Float32Array): void {
  const [scale, decay, l1, rate, momentum, onePlus] = scalars as unknown as [number, number, number, number, number, number]
  const n = w.length
  if (form === 0) {
    for (let i = 0; i < n; i++) w[i] = w[i]! - f(rate * gradient(g[i]!, w[i]!, scale, decay, l1))
    return
  }
  const velocity = v!
  if (form === 1) {
    for (let i = 0; i < n; i++) {
      const next = f(f(momentum * velocity[i]!) + f(rate * gradient(g[i]!, w[i]!, scale, decay, l1)))
      velocity[i] = next
      w[i] = w[i]! - next
    }
  } else if (form === 2) {
    for (let i = 0; i < n; i++) {
      const back = f(momentum * velocity[i]!)
      const next = f(back + f(rate * gradient(g[i]!, w[i]!, scale, decay, l1)))
      velocity[i] = next
      w[i] = w[i]! - f(f(onePlus * next) - back)
    }
  } else if (form === 3) {
    for (let i = 0; i < n; i++) {
      const next = f(f(momentum * velocity[i]!) + gradient(g[i]!, w[i]!, scale, decay, l1))
      velocity[i] = next
      w[i] = w[i]! - f(rate * next)
    }
  } else {
    for (let i = 0; i < n; i++) {
      const d = gradient(g[i]!, w[i]!, scale, decay, l1)
      const next = f(f(momentum * velocity[i]!) + d)
      velocity[i] = next
      w[i] = w[i]! - f(rate * f(d + f(momentum * next)))
    }
  }
}

export function adagrad(w: Float32Array, g: Float32Array, h: Float32Array, scalars: Float32Array): void {
  const [scale, decay, l1, rate, epsilon] = scalars as unknown as [number, number, number, number, number]
  for (let i = 0; i < w.length; i++) {
    const d = gradient(g[i]!, w[i]!, scale, decay, l1)
    const next = f(h[i]! + f(d * d))
    h[i] = next
    w[i] = w[i]! - f(f(rate * d) / f(f(sqrt(next)) + epsilon))
  }
}

export function adadelta(w: Float32Array, g: Float32Array, h: Float32Array, u: Float32Array, scalars: Float32Array): void {
  const [scale, decay, l1, rate, epsilon, rho, rest] = scalars as unknown as [number, number, number, number, number, number, number]
  for (let i = 0; i < w.length; i++) {
    const d = gradient(g[i]!, w[i]!, scale, decay, l1)
    const next = f(f(rho * h[i]!) + f(rest * f(d * d)))
    const step = f(f(f(sqrt(f(u[i]! + epsilon))) / f(sqrt(f(next + epsilon)))) * d)
    h[i] = next
    u[i] = f(rho * u[i]!) + f(rest * f(step * step))
    w[i] = w[i]! - f(rate * step)
  }
}

export function rmsprop(w: Float32Array, g: Float32Array, h: Float32Array, b: Float32Array | undefined, scalars: Float32Array): void {
  const [scale, decay, l1, rate, epsilon, rho, rest, momentum] = scalars as unknown as number[] & { length: 8 }
  for (let i = 0; i < w.length; i++) {
    const d = gradient(g[i]!, w[i]!, scale!, decay!, l1!)
    const next = f(f(rho! * h[i]!) + f(rest! * f(d * d)))
    const root = f(f(sqrt(next)) + epsilon!)
    h[i] = next
    if (b === undefined) {
      w[i] = w[i]! - f(f(rate! * d) / root)
    } else {
      const buffer = f(f(momentum! * b[i]!) + f(d / root))
      b[i] = buffer
      w[i] = w[i]! - f(rate! * buffer)
    }
  }
}

export function adam(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): void {
  const [scale, decay, l1, rate, epsilon, beta1, rest1, beta2, rest2, rootScale, keep] = Array.from(scalars)
  for (let i = 0; i < w.length; i++) {
    const d = gradient(g[i]!, w[i]!, scale!, decay!, l1!)
    const first = f(f(beta1! * m[i]!) + f(rest1! * d))
    const second = f(f(beta2! * v[i]!) + f(rest2! * f(d * d)))
    m[i] = first
    v[i] = second
    w[i] = f(keep! * w[i]!) - f(f(rate! * first) / f(f(f(sqrt(second)) * rootScale!) + epsilon!))
  }
}

/** LAMB's direction, from moments that are already this step's. */
function direction(w: number, m: number, v: number, mean: number, root: number, epsilon: number, decay: number): number {
  return f(f(f(m * mean) / f(f(f(sqrt(v)) * root) + epsilon)) + f(decay * w))
}

export function lambMoments(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): [number, number] {
  const [scale, , l1, , epsilon, beta1, rest1, beta2, rest2, root, mean, decay] = Array.from(scalars)
  const weights = new Float64Array(16)
  const directions = new Float64Array(16)
  for (let i = 0; i < w.length; i++) {
    const d = gradient(g[i]!, w[i]!, scale!, 0, l1!)
    const first = f(f(beta1! * m[i]!) + f(rest1! * d))
    const second = f(f(beta2! * v[i]!) + f(rest2! * f(d * d)))
    m[i] = first
    v[i] = second
    const u = direction(w[i]!, first, second, mean!, root!, epsilon!, decay!)
    weights[i & 15] = weights[i & 15]! + w[i]! * w[i]!
    directions[i & 15] = directions[i & 15]! + u * u
  }
  return [join(weights), join(directions)]
}

export function lambApply(w: Float32Array, m: Float32Array, v: Float32Array, scalars: Float32Array): void {
  const [, , , rate, epsilon, , , , , root, mean, decay] = Array.from(scalars)
  for (let i = 0; i < w.length; i++) w[i] = w[i]! - f(rate! * direction(w[i]!, m[i]!, v[i]!, mean!, root!, epsilon!, decay!))
}
