import { InvalidParametersError, MalformedError } from '../../common/index.ts'
import { sizeOf } from '../graph/tensors.ts'
import type { Graph } from '../graph/types.ts'
import type { ConvertedNet } from './convert.ts'
import { type Message, message } from './message.ts'
import { decodeMessage, encodeMessage } from './wire.ts'

/** A tensor of a layer, or of a solver's history. */
export interface CaffeBlob {
  shape: number[]
  data: Float32Array
}

/** A `.solverstate`. */
export interface SolverState {
  /** Iterations done. */
  iter: number
  /** The file of the weights that belong to it. */
  learnedNet: string
  /** Rate steps passed, of policy multistep. */
  currentStep: number
  /** Of SGD the momentum of each parameter; of others several rounds of all parameters. */
  history: CaffeBlob[]
}

const HDF5 = [0x89, 0x48, 0x44, 0x46]

function decode(bytes: Uint8Array, type: string, file: string): Message {
  if (HDF5.every((byte, i) => bytes[i] === byte)) {
    throw new InvalidParametersError(`${file} is an HDF5 file; have Caffe write it with snapshot_format: BINARYPROTO`)
  }
  return decodeMessage(bytes, type, file)
}

function blobOf(blob: Message, file: string, what: string): CaffeBlob {
  const legacy = ['num', 'channels', 'height', 'width']
  const shape = blob.has('shape')
    ? blob.message('shape').numbers('dim')
    : legacy.some(field => blob.has(field))
      ? legacy.map(field => blob.number(field))
      : undefined
  const data = blob.has('double_data') ? Float32Array.from(blob.numbers('double_data')) : blob.floats('data')
  const count = sizeOf(shape ?? [data.length])
  if (count !== data.length) {
    throw new MalformedError(`${file}: ${what} has the shape [${(shape ?? []).join(', ')}] and ${data.length} values`)
  }
  return { shape: shape ?? [data.length], data }
}

function encodeBlob({ shape, data }: CaffeBlob): Message {
  return message('BlobProto').set('shape', message('BlobShape').set('dim', shape)).set('data', data)
}

/**
 * The blobs of a `.caffemodel`, by layer. Values are views into `bytes` where they lie aligned.
 *
 * @param file - what errors call the bytes
 * @throws MalformedError, InvalidParametersError naming the file
 */
export function readWeights(bytes: Uint8Array, file: string): Map<string, CaffeBlob[]> {
  const net = decode(bytes, 'NetParameter', file)
  const layers = new Map<string, CaffeBlob[]>()
  for (const layer of [...net.messages('layer'), ...net.messages('layers')]) {
    if (!layer.has('blobs')) continue
    const name = layer.string('name')
    layers.set(
      name,
      layer.messages('blobs').map((blob, i) => blobOf(blob, file, `blob ${i} of layer '${name}'`))
    )
  }
  if (layers.size === 0) throw new MalformedError(`${file} holds no layer with weights; is it a .caffemodel?`)
  return layers
}

/**
 * A `.caffemodel`: the layers of a net with their blobs, in parts that are to be written one behind the other.
 *
 * @param value - the tensor of a parameter or state
 */
export function writeWeights(name: string, net: ConvertedNet, value: (name: string) => CaffeBlob): Uint8Array[] {
  const layers = net.layers.map(layer => {
    const blobs = net.blobs.get(layer.string('name'))
    return blobs === undefined
      ? layer
      : layer.copy().set(
          'blobs',
          blobs.map(name => encodeBlob(value(name)))
        )
  })
  return encodeMessage(message('NetParameter').set('name', name).set('layer', layers))
}

/** Names of what Caffe calls a net's learnable parameters, in its order: each once, running statistics among them. */
export function learnable(net: ConvertedNet): string[] {
  return [...new Set([...net.blobs.values()].flat())]
}

/**
 * Gives the parameters and states of a net the values of layers of the same name; other layers keep their fillers.
 *
 * @param graphs - the graphs of the net that are to have them
 * @throws InvalidParametersError when a layer's blobs have other shapes, or no layer is the file's
 */
export function useWeights(net: ConvertedNet, graphs: Graph[], weights: ReadonlyMap<string, CaffeBlob[]>, file: string): void {
  let used = 0
  for (const [layer, names] of net.blobs) {
    const blobs = weights.get(layer)
    if (blobs === undefined) continue
    if (blobs.length !== names.length) {
      throw new InvalidParametersError(`${file}: layer '${layer}' has ${blobs.length} blobs there and ${names.length} in the net`)
    }
    used++
    names.forEach((name, i) => {
      const { shape, data } = blobs[i]
      for (const graph of graphs) {
        const tensors = graph.parameters.has(name) ? graph.parameters : graph.states
        const tensor = tensors.get(name)
        if (tensor === undefined) continue
        if (!sameShape(shape, tensor.shape)) {
          throw new InvalidParametersError(
            `${file}: blob ${i} of layer '${layer}' is [${shape.join(', ')}] and the net's [${tensor.shape.join(', ')}]; rename the layer to train it anew`
          )
        }
        tensors.set(name, { ...tensor, filler: { type: 'given', values: data } })
      }
    })
  }
  if (used === 0)
    throw new InvalidParametersError(`${file}: none of its layers is in the net (it has ${[...weights.keys()].slice(0, 5).join(', ')}, …)`)
}

/** Equal but for leading ones, which the older four-dimensional shapes have. */
function sameShape(a: number[], b: number[]): boolean {
  const trimmed = (shape: number[]) => shape.slice(shape.findIndex(d => d !== 1) < 0 ? shape.length : shape.findIndex(d => d !== 1)).join()
  return trimmed(a) === trimmed(b)
}

/** @throws MalformedError, InvalidParametersError naming the file */
export function readSolverState(bytes: Uint8Array, file: string): SolverState {
  const state = decode(bytes, 'SolverState', file)
  if (!state.has('iter') || state.number('iter') < 0) throw new MalformedError(`${file} names no iteration; is it a .solverstate?`)
  return {
    iter: state.number('iter'),
    learnedNet: state.string('learned_net'),
    currentStep: state.number('current_step'),
    history: state.messages('history').map((blob, i) => blobOf(blob, file, `history ${i}`))
  }
}

/** A `.solverstate`, in parts that are to be written one behind the other. */
export function writeSolverState({ iter, learnedNet, currentStep, history }: SolverState): Uint8Array[] {
  const state = message('SolverState').set('iter', iter).set('learned_net', learnedNet).set('current_step', currentStep)
  return encodeMessage(state.set('history', history.map(encodeBlob)))
}
