import { createRng, type Rng } from '../../../common/index.ts'
import { type CaffeModel, caffeModel, parseNet } from '../../../models/caffe/index.ts'
import type { Graph } from '../../../models/graph/types.ts'
import { initialise, parameterLayout, stateLayout } from '../../../models/parameters.ts'
import { type TrainingParts, trainingParts } from '../../../models/training.ts'
import { assertClose, runOrt } from '../reference/check.ts'
import { evaluate } from '../reference/evaluate.ts'
import { type Ref, ref } from '../reference/tensor.ts'

export interface Case {
  /** The net's text. */
  net: string
  /** Samples, [N, …]. */
  data: Ref
  labels?: number[]
  /** Values of parameters and states by name; others come from their fillers. */
  values?: Record<string, Ref>
  seed?: number
}

export interface Prepared {
  model: CaffeModel
  parts: TrainingParts
  feeds: Map<string, Ref>
}

/** The graphs of a net, with everything that they want fed. */
export function prepare({ net, data, labels, values = {}, seed = 1 }: Case): Prepared {
  const model = caffeModel(parseNet(net, 'net.prototxt'), { shape: data.shape.slice(1) })
  const parts = trainingParts(model.train.graph, model.training)
  const feeds = new Map<string, Ref>([
    [model.train.graph.inputs[0], data],
    ['labels', ref([data.shape[0]], labels ?? Array.from({ length: data.shape[0] }, (_, i) => i % 2))],
    [
      'samples',
      ref(
        [data.shape[0]],
        Array.from({ length: data.shape[0] }, (_, i) => 7 * i + seed)
      )
    ]
  ])
  for (const layout of [parameterLayout(model.train.graph), stateLayout(model.train.graph)]) {
    const arena = new Float32Array(layout.total)
    initialise(layout, seed, arena)
    for (const p of layout.parameters) feeds.set(p.name, values[p.name] ?? ref(p.shape, arena.subarray(p.offset, p.offset + p.size)))
  }
  return { model, parts, feeds }
}

/** The value of a blob in phase TEST or TRAIN, by onnxruntime. */
export async function blobOf(c: Case, name: string, phase: 'train' | 'test' = 'test'): Promise<Ref> {
  const { model, feeds } = prepare(c)
  const graph: Graph = { ...model[phase].graph, outputs: [name] }
  return (await runOrt(graph, feeds)).get(name)!
}

/**
 * Loss and gradients of a net's training graph: onnxruntime's must be the float64 reference's, and the reference's gradients its own
 * central finite differences, a few elements of each parameter.
 *
 * @returns loss per denominator
 */
export async function checkTraining(c: Case, elements = 6): Promise<number> {
  const { parts, feeds } = prepare(c)
  const { train, outputs, layout } = parts
  const expected = evaluate(train, feeds)
  const ran = await runOrt(train, feeds)
  for (const output of train.outputs) assertClose(output, ran.get(output)!, expected.get(output)!, 1e-4)
  const rng: Rng = createRng(c.seed ?? 1)
  layout.parameters.forEach((p, i) => {
    const gradient = expected.get(outputs.gradients[i])!
    const bound = 1e-5 * gradient.data.reduce((m, v) => Math.max(m, Math.abs(v)), 1)
    for (let k = 0; k < Math.min(elements, p.size); k++) {
      const at = p.size <= elements ? k : rng.int(p.size)
      const loss = (step: number) => {
        const moved = ref(p.shape, feeds.get(p.name)!.data.slice())
        moved.data[at] += step
        return evaluate(train, new Map(feeds).set(p.name, moved)).get(outputs.lossSum)!.data[0]
      }
      const difference = (loss(1e-5) - loss(-1e-5)) / 2e-5
      if (!(Math.abs(gradient.data[at] - difference) <= bound)) {
        throw new Error(`gradient of ${p.name}[${at}] is ${gradient.data[at]}, finite differences give ${difference}`)
      }
    }
  })
  return expected.get(outputs.lossSum)!.data[0] / expected.get(outputs.denominator)!.data[0]
}
