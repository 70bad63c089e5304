import { createRng, InvalidParametersError, MAX_PARAMETERS, type Rng, TooLargeError } from '../common/index.ts'
import { sizeOf } from './graph/tensors.ts'
import type { Graph, Parameter, ParameterInfo, ParameterLayout } from './graph/types.ts'

/**
 * Places of the parameters of `graph` in a flat arena, in the order in which its nodes first read them.
 *
 * @throws TooLargeError above 2³¹ floats
 */
export function parameterLayout(graph: Graph): ParameterLayout {
  return layoutOf(graph, graph.parameters)
}

/** Places of the states of `graph`, likewise. */
export function stateLayout(graph: Graph): ParameterLayout {
  return layoutOf(graph, graph.states)
}

function layoutOf(graph: Graph, tensors: ReadonlyMap<string, Parameter>): ParameterLayout {
  const order = new Set<string>()
  for (const node of graph.nodes) for (const input of node.inputs) if (tensors.has(input)) order.add(input)
  for (const name of tensors.keys()) order.add(name)
  let total = 0
  const parameters: ParameterInfo[] = []
  for (const name of order) {
    const parameter = tensors.get(name)!
    const size = sizeOf(parameter.shape)
    parameters.push({ ...parameter, offset: total, size })
    total += size
  }
  if (total > MAX_PARAMETERS) throw new TooLargeError(`the model has ${total} parameters, and at most ${MAX_PARAMETERS} can be trained`)
  return { total, parameters }
}

/**
 * Writes the first values of all parameters: each from its filler and a generator that depends on the seed and the parameter's
 * name only, so that adding a layer leaves the others' values as they were.
 *
 * @param into - at least `layout.total` floats
 */
export function initialise(layout: ParameterLayout, seed: number | string, into: Float32Array): void {
  if (into.length < layout.total)
    throw new InvalidParametersError(`the arena holds ${into.length} floats and the model needs ${layout.total}`)
  const rng = createRng(seed)
  for (const p of layout.parameters) fill(p, rng.fork(`parameter ${p.name}`), into.subarray(p.offset, p.offset + p.size))
}

/** Inputs or outputs that meet in one element, as Caffe counts them: the tensor's size over its first or second dimension. */
function fan(p: Parameter, norm: 'fan_in' | 'fan_out' | 'average'): number {
  const count = sizeOf(p.shape)
  const fanIn = count / (p.shape[0] ?? 1)
  const fanOut = count / (p.shape[1] ?? 1)
  return norm === 'fan_in' ? fanIn : norm === 'fan_out' ? fanOut : (fanIn + fanOut) / 2
}

function fill(p: ParameterInfo, rng: Rng, into: Float32Array): void {
  const { filler } = p
  const uniform = (min: number, max: number) => {
    for (let i = 0; i < into.length; i++) into[i] = min + (max - min) * rng.float()
  }
  switch (filler.type) {
    case 'constant':
      into.fill(filler.value)
      break
    case 'uniform':
      uniform(filler.min, filler.max)
      break
    case 'xavier': {
      const bound = Math.sqrt(3 / fan(p, filler.norm ?? 'fan_in'))
      uniform(-bound, bound)
      break
    }
    case 'gaussian': {
      const { mean = 0, std, sparse } = filler
      const keep = sparse === undefined ? 1 : Math.min(1, (sparse * (p.shape[0] ?? 1)) / into.length)
      for (let i = 0; i < into.length; i++) {
        const value = mean + std * rng.normal()
        into[i] = keep === 1 || rng.float() < keep ? value : 0
      }
      break
    }
    case 'msra': {
      const std = Math.sqrt(2 / fan(p, filler.norm ?? 'fan_in'))
      for (let i = 0; i < into.length; i++) into[i] = std * rng.normal()
      break
    }
    case 'positive_unitball': {
      const each = into.length / (p.shape[0] ?? 1)
      for (let start = 0; start < into.length; start += each) {
        let sum = 0
        for (let i = 0; i < each; i++) sum += into[start + i] = rng.float()
        for (let i = 0; i < each; i++) into[start + i] /= sum
      }
      break
    }
    case 'bilinear': {
      const side = p.shape[p.shape.length - 1]
      const half = Math.ceil(side / 2)
      const centre = (2 * half - 1 - (half % 2)) / (2 * half)
      for (let i = 0; i < into.length; i++) {
        const x = i % side
        const y = Math.floor(i / side) % side
        into[i] = (1 - Math.abs(x / half - centre)) * (1 - Math.abs(y / half - centre))
      }
      break
    }
    case 'given':
      if (filler.values.length !== into.length) {
        throw new InvalidParametersError(`parameter '${p.name}' has ${into.length} floats and ${filler.values.length} values were given`)
      }
      into.set(filler.values)
  }
}
