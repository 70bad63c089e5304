import { z } from 'zod'
import { InvalidParametersError } from '../../common/index.ts'
import { name } from './fields.ts'
import { type Layer, layer, type Model, model } from './schema.ts'
import { inputName } from './spelt.ts'
import { type Training, training } from './training.ts'

/** A whole file: a model, and how it is trained. */
export const document = z.strictObject({
  ...model.shape,
  layers: z.array(layer).min(1).max(10_000).optional(),
  /** Layers by name in any order, each with its inputs; in place of `layers`. */
  graph: z.record(name, layer).optional(),
  /** Of every random choice: first values, order of samples, dropout. */
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  training: training.optional()
})

export type Document = z.output<typeof document>

/** A model and how it is trained, as one file says it. */
export interface Description {
  model: Model
  seed?: number
  training?: Training
}

/** Where each layer of the model stands in the document. */
export type LayerPath = (string | number)[]

/**
 * The description that a document holds, layers in an order in which each comes after what it reads.
 *
 * @param fail - refuses, naming the place of a path
 */
export function settle(given: Document, fail: (path: LayerPath, why: string) => never): { description: Description; paths: LayerPath[] } {
  const { layers, graph, seed, training, ...rest } = given
  if ((layers === undefined) === (graph === undefined)) return fail([], 'a model has either layers or a graph: give one of the two')
  const { list, paths } =
    layers === undefined ? ordered(graph!, inputName(rest), fail) : { list: layers, paths: layers.map((_, i) => ['layers', i]) }
  const description: Description = { model: { ...rest, layers: list } }
  if (seed !== undefined) description.seed = seed
  if (training !== undefined) description.training = training
  return { description, paths }
}

/** Depth first from the layers as written; a layer without inputs reads the model's input. */
function ordered(
  graph: Record<string, Layer>,
  input: string,
  fail: (path: LayerPath, why: string) => never
): { list: Layer[]; paths: LayerPath[] } {
  const done = new Map<string, 'begun' | 'done'>()
  const list: Layer[] = []
  const paths: LayerPath[] = []
  const inputsOf = (layer: Layer) =>
    layer.inputs === undefined ? [input] : typeof layer.inputs === 'string' ? [layer.inputs] : layer.inputs
  for (const root of Object.keys(graph)) {
    // A stack of its own: a chain of thousands of layers must not exhaust the machine's.
    const stack = [root]
    while (stack.length > 0) {
      const name = stack[stack.length - 1]
      const layer = graph[name]
      if (done.get(name) === 'done') {
        stack.pop()
        continue
      }
      if (layer.name !== undefined) fail(['graph', name, 'name'], `a layer of a graph has its key as name; leave 'name' out`)
      const missing = inputsOf(layer).filter(i => i !== input && Object.hasOwn(graph, i) && done.get(i) !== 'done')
      if (done.get(name) === 'begun' && missing.length > 0) fail(['graph', name], `layer '${name}' is in a cycle: it needs its own result`)
      if (missing.length > 0) {
        const begun = missing.find(i => done.get(i) === 'begun')
        if (begun !== undefined) fail(['graph', begun], `layer '${begun}' is in a cycle: it needs its own result`)
        done.set(name, 'begun')
        stack.push(...missing.reverse())
        continue
      }
      done.set(name, 'done')
      stack.pop()
      list.push({ ...layer, name, inputs: layer.inputs ?? input })
      paths.push(['graph', name])
    }
  }
  return { list, paths }
}

/** What a JavaScript object says, where no file has a position to show. @throws InvalidParametersError */
export function refuseAt(path: LayerPath, why: string): never {
  throw new InvalidParametersError(path.length === 0 ? why : `${path.join('.')}: ${why}`)
}
