import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { createRng, type Rng } from '../../../common/index.ts'
import { backward } from '../../../models/gradients/index.ts'
import { Emitter } from '../../../models/graph/emitter.ts'
import { prune } from '../../../models/graph/prune.ts'
import { createGraph, type Dim, type Graph } from '../../../models/graph/types.ts'
import { encodeGraph } from '../../../models/onnx/encode.ts'
import { evaluate } from './evaluate.ts'
import { type Ref, ref } from './tensor.ts'

/** Builds a piece of a graph over inputs that were declared, and names the result to differentiate. */
export type Build = (e: Emitter, inputs: string[]) => string | string[]

export interface Input {
  value: Ref
  /** Shape as the graph declares it, where it differs from the value's (symbols). */
  declared?: Dim[]
  /** An input that is fed but not differentiated. */
  fixed?: 'float32' | 'int32' | 'int64' | 'bool'
}

/** Random values: normal, rounded to float32 so that onnxruntime sees the same. */
export function normal(rng: Rng, shape: number[], scale = 1): Ref {
  return fround(
    ref(
      shape,
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * rng.normal())
    )
  )
}

/** Values of either sign at least `gap` away from every kink in `kinks`. */
export function awayFrom(rng: Rng, shape: number[], kinks = [0], gap = 0.05): Ref {
  const x = normal(rng, shape, 1.5)
  for (let i = 0; i < x.data.length; i++) {
    while (kinks.some(k => Math.abs(x.data[i] - k) < gap)) x.data[i] = Math.fround(1.5 * rng.normal())
  }
  return x
}

/** Values in random order of which no two are closer than 0.05: no maximum is near a tie. */
export function distinct(rng: Rng, shape: number[]): Ref {
  const n = shape.reduce((a, b) => a * b, 1)
  const values = Array.from({ length: n }, (_, i) => 0.06 * (i - n / 2) + 0.004 * rng.float())
  for (let i = n - 1; i > 0; i--) {
    const j = rng.int(i + 1)
    ;[values[i], values[j]] = [values[j], values[i]]
  }
  return fround(ref(shape, values))
}

/** Uniform in [low, high). */
export function uniform(rng: Rng, shape: number[], low: number, high: number): Ref {
  const n = shape.reduce((a, b) => a * b, 1)
  return fround(
    ref(
      shape,
      Array.from({ length: n }, () => low + (high - low) * rng.float())
    )
  )
}

export function fround(x: Ref): Ref {
  return ref(x.shape, x.data.map(Math.fround))
}

export function ints(shape: number[], values: number[]): Ref {
  return ref(shape, values)
}

const arrays = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array } as const

function toOrt(x: Ref, type: keyof typeof arrays = 'float32'): OrtTensor {
  const data = type === 'int64' ? BigInt64Array.from(Array.from(x.data, v => BigInt(v))) : arrays[type].from(x.data as any)
  return new OrtTensor(type as 'float32', data as any, x.shape)
}

/** Runs a graph in onnxruntime. */
export async function runOrt(graph: Graph, feeds: ReadonlyMap<string, Ref>): Promise<Map<string, Ref>> {
  const session = await InferenceSession.create(encodeGraph(graph), { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const given: Record<string, OrtTensor> = {}
    for (const name of session.inputNames) given[name] = toOrt(feeds.get(name)!, graph.types.get(name)!.type as keyof typeof arrays)
    const results = await session.run(given)
    const out = new Map<string, Ref>()
    for (const [name, tensor] of Object.entries(results)) {
      out.set(name, ref([...tensor.dims], Float64Array.from(tensor.data as ArrayLike<any>, Number)))
    }
    return out
  } finally {
    await session.release()
  }
}

function largest(x: Ref): number {
  return x.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
}

/** Throws when `a` and `b` differ by more than tolerance·max(1, ‖b‖∞). */
export function assertClose(what: string, a: Ref, b: Ref, tolerance: number): void {
  if (a.shape.join() !== b.shape.join()) throw new Error(`${what}: shape [${a.shape}] is not [${b.shape}]`)
  const bound = tolerance * Math.max(1, largest(b))
  for (let i = 0; i < a.data.length; i++) {
    if (!(Math.abs(a.data[i] - b.data[i]) <= bound)) {
      throw new Error(`${what}[${i}]: ${a.data[i]} is not ${b.data[i]} (to ${bound})`)
    }
  }
}

export interface CheckOptions {
  /** Elements of each input that are compared with finite differences. @default 24 */
  samples?: number
  /** Half the distance of the finite difference. @default 1e-5 */
  step?: number
  /** Leave onnxruntime out. */
  referenceOnly?: boolean
}

/**
 * Checks a gradient three ways. The result r (summed with random weights into a scalar) of the graph that `build` makes is
 * differentiated; the graph of the gradients, evaluated in float64, must agree with central finite differences of the forward graph
 * to 1e-6, and in onnxruntime with that to 1e-4, each times max(1, ‖g‖∞).
 */
export async function checkGradient(seed: number, inputs: Input[], build: Build, options: CheckOptions = {}): Promise<void> {
  const rng = createRng(seed)
  const graph = createGraph('check')
  const feeds = new Map<string, Ref>()
  const names = inputs.map((input, i) => {
    const name = `x${i}`
    graph.inputs.push(name)
    graph.types.set(name, { type: input.fixed ?? 'float32', shape: input.declared ?? input.value.shape })
    feeds.set(name, input.value)
    return name
  })
  const e = new Emitter(graph, 't/')
  const made = build(e, names)
  const results = typeof made === 'string' ? [made] : made
  const parts = results.map((result, i) => {
    const shape = evaluate(graph, feeds).get(result)!.shape
    const weights = `weights${i}`
    graph.inputs.push(weights)
    graph.types.set(weights, { type: 'float32', shape: [...e.shape(result)] })
    feeds.set(weights, normal(rng, shape))
    return e.op('ReduceSum', [e.op('Mul', [result, weights])], { keepdims: 0 })
  })
  const scalar = parts.length === 1 ? parts[0] : e.op('Sum', parts)
  const forward: Graph = { ...graph, nodes: [...graph.nodes], outputs: [scalar] }
  const sources = names.filter((_, i) => inputs[i].fixed === undefined)
  const gradients = backward(e, scalar, sources)
  graph.outputs = [...new Set([scalar, ...gradients.values()])]
  prune(graph)

  const reference = evaluate(graph, feeds)
  for (const source of sources) {
    const gradient = gradients.get(source)
    if (gradient === undefined) throw new Error(`${source} has no gradient`)
    finiteDifferences(forward, scalar, feeds, source, reference.get(gradient)!, rng, options)
  }
  if (options.referenceOnly === true) return
  const ran = await runOrt(graph, feeds)
  for (const name of graph.outputs) assertClose(`onnxruntime's ${name}`, ran.get(name)!, reference.get(name)!, 1e-4)
}

function finiteDifferences(
  forward: Graph,
  scalar: string,
  feeds: Map<string, Ref>,
  source: string,
  gradient: Ref,
  rng: Rng,
  { samples = 24, step = 1e-5 }: CheckOptions
): void {
  const x = feeds.get(source)!
  if (gradient.shape.join() !== x.shape.join()) throw new Error(`gradient of ${source} is [${gradient.shape}], not [${x.shape}]`)
  const at = x.data.length <= samples ? x.data.map((_, i) => i) : Float64Array.from({ length: samples }, () => rng.int(x.data.length))
  const bound = 1e-6 * Math.max(1, largest(gradient))
  for (const i of at) {
    const value = (v: number) => {
      const moved = ref(x.shape, x.data.slice())
      moved.data[i] = v
      return evaluate(forward, new Map(feeds).set(source, moved)).get(scalar)!.data[0]
    }
    const difference = (value(x.data[i] + step) - value(x.data[i] - step)) / (2 * step)
    if (!(Math.abs(gradient.data[i] - difference) <= bound)) {
      throw new Error(`gradient of ${source}[${i}] is ${gradient.data[i]}, finite differences give ${difference}`)
    }
  }
}
