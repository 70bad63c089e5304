import { InvalidParametersError } from '../../common/index.ts'
import { Emitter } from '../graph/emitter.ts'
import { createGraph, type Graph } from '../graph/types.ts'
import type { LossDefinition } from '../losses/index.ts'
import { filterLayers, type NetState } from './filter.ts'
import { applyRule, arityOf, type CaffeInput, dataLayers, layerTypes, losses, type NetContext, ruleOf, transform } from './layers/index.ts'
import type { Message } from './message.ts'
import { type Blob, type Head, type LateLayer, objective } from './objective.ts'

/** A net in one state, as a graph. */
export interface ConvertedNet {
  /** What does not depend on labels; its first output is what the heaviest loss is taken of. */
  graph: Graph
  /** The rest: losses and accuracies. */
  loss: LossDefinition
  /** What losses are taken of, the heaviest first. */
  heads: readonly Head[]
  /** Names of parameters and states by layer, in the order of Caffe's blobs. */
  blobs: ReadonlyMap<string, readonly string[]>
  /** The layers that are in. */
  layers: readonly Message[]
}

/** The data layers' tops: the first is the data, the second the labels. */
const DATA_TOPS = 2

/**
 * Converts a net as it is in `state`.
 *
 * A blob that is read after it was written in place is what was written last before it is read. Layers behind the labels are left for the
 * loss, which is built where the labels are known.
 *
 * @param net - upgraded
 * @throws MalformedError, InvalidParametersError naming file, position and layer
 */
export function convertNet(net: Message, state: NetState, input: CaffeInput): ConvertedNet {
  const layers = filterLayers(net, state)
  const graph = createGraph(net.has('name') ? net.string('name') : 'net')
  const context: NetContext = { e: new Emitter(graph), phase: state.phase, blobs: new Map(), updates: new Map(), forward: true }
  const blobs = new Map<string, Blob>()
  const late: LateLayer[] = []
  const data = layers.filter(l => dataLayers.has(l.string('type')))
  if (data.length === 0) throw new InvalidParametersError(`${net.source.file}: no layer brings data in phase ${state.phase}`)
  readData(context, data, input, blobs)
  for (const layer of layers) {
    const type = layer.string('type')
    if (dataLayers.has(type)) continue
    const bottoms = bottomsOf(layer, blobs, state)
    if (Object.hasOwn(losses, type) || type === 'Accuracy' || bottoms.some(b => b.value === undefined)) {
      const tops = layer.strings('top').map((name): Blob => ({ name, read: false }))
      late.push({ layer, bottoms, tops })
      for (const top of tops) blobs.set(top.name, top)
      continue
    }
    const values = applyRule(
      context,
      layer,
      bottoms.map(b => b.value!)
    )
    layer.strings('top').forEach((name, i) => {
      const blob: Blob = { name, value: values[i], read: false }
      blobs.set(name, blob)
      const weight = layer.numbers('loss_weight')[i] ?? 0
      if (weight !== 0) late.push({ layer, bottoms: [blob], tops: [], weight })
    })
  }
  const { loss, heads } = objective(late, context)
  graph.outputs = outputsOf(
    graph,
    heads.map(h => h.value),
    blobs
  )
  if (context.updates.size > 0) graph.updates = context.updates
  context.forward = false
  return { graph, loss, heads, blobs: context.blobs, layers }
}

function readData(context: NetContext, data: Message[], input: CaffeInput, blobs: Map<string, Blob>): void {
  const tops = data.flatMap(layer => layer.strings('top').map(name => ({ layer, name })))
  if (tops.length === 0) data[0].fail(`layer '${data[0].string('name')}' has no top`)
  if (tops.length > DATA_TOPS) {
    const { layer, name } = tops[DATA_TOPS]
    throw new InvalidParametersError(`${layer.at}: layer '${layer.string('name')}': '${name}' is a third input; a net has data and labels`)
  }
  const [{ layer, name }] = tops
  const { e } = context
  const { graph } = e
  const fed = /^(labels|samples)$/.test(name) ? `${name}/data` : name
  graph.inputs.push(fed)
  graph.types.set(fed, { type: 'float32', shape: ['N', ...input.shape] })
  blobs.set(name, { name, value: transform(e, layer, context.phase, input, fed), read: false })
  if (tops.length > 1) blobs.set(tops[1].name, { name: tops[1].name, read: false })
}

function bottomsOf(layer: Message, blobs: ReadonlyMap<string, Blob>, { phase }: NetState): Blob[] {
  const type = layer.string('type')
  const called = `layer '${layer.string('name')}'`
  const refuse = (why: string): never => {
    throw new InvalidParametersError(`${layer.at}: ${called} ${why}`)
  }
  if (ruleOf(type) === undefined && !layerTypes.includes(type)) {
    refuse(`is of type '${type.slice(0, 60)}', which cannot be trained; known are ${layerTypes.join(', ')}`)
  }
  const names = layer.strings('bottom')
  const [least, most] = arityOf(type)
  if (names.length < least || names.length > most) {
    const takes = least === most ? `${least}` : most === Number.POSITIVE_INFINITY ? `${least} or more` : `${least} to ${most}`
    refuse(`of type ${type} has ${names.length} bottoms and takes ${takes}`)
  }
  return names.map(name => {
    const blob = blobs.get(name) ?? refuse(`reads '${name}', which no layer before it makes in phase ${phase}`)
    blob.read = true
    return blob
  })
}

/** What losses are taken of, the heaviest first; in a net without losses what nothing reads. */
function outputsOf(graph: Graph, scores: string[], blobs: ReadonlyMap<string, Blob>): string[] {
  const open = [...blobs.values()].filter(b => !b.read && b.value !== undefined).map(b => b.value!)
  const outputs = [...new Set(scores.length > 0 ? scores : open)].filter(name => !graph.inputs.includes(name))
  if (outputs.length === 0) throw new InvalidParametersError(`net '${graph.name}' computes nothing that a loss could be taken of`)
  return outputs
}
