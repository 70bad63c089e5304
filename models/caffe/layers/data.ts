import { hash32, InvalidParametersError } from '../../../common/index.ts'
import type { Emitter } from '../../graph/emitter.ts'
import { floats, int64s, sizeOf } from '../../graph/tensors.ts'
import { SAMPLES } from '../../lowering/index.ts'
import type { Phase } from '../filter.ts'
import type { Message } from '../message.ts'

/** What a net is converted for. */
export interface CaffeInput {
  /** Of one sample, as the data gives it: [channels, height, width]. */
  shape: number[]
  /**
   * How the data makes its values from bytes, (byte − mean[channel])·scale. The net's own transformation takes its place; where nothing is
   * said, the values are taken for bytes.
   */
  scaling?: { mean: readonly number[]; scale: number }
  /** Mean of all samples in bytes, of the samples' shape, for a data layer that names a mean file. */
  mean?: (file: string) => ArrayLike<number> | undefined
}

/** Data layers whose samples are bytes that `transform_param` acts on. */
const bytes = new Set(['Data', 'ImageData', 'MemoryData', 'WindowData', 'CoSData'])

/** Layers that bring data and labels from outside; what they name may be replaced. */
export const dataLayers: ReadonlySet<string> = new Set([...bytes, 'HDF5Data', 'DummyData', 'Input'])

/** Message of a data layer's own settings. */
const settings: Record<string, string> = {
  Data: 'data_param',
  ImageData: 'image_data_param',
  MemoryData: 'memory_data_param',
  WindowData: 'window_data_param',
  CoSData: 'cos_data_param',
  HDF5Data: 'hdf5_data_param'
}

/** Samples a step, as a data layer says; undefined where it does not. */
export function batchSize(layer: Message): number | undefined {
  const field = settings[layer.string('type')]
  const p = field === undefined ? undefined : layer.message(field)
  return p?.has('batch_size') ? p.number('batch_size') : undefined
}

/** Where a data layer reads from; undefined where it names nothing. */
export function sourceOf(layer: Message): string | undefined {
  const field = settings[layer.string('type')]
  const p = field === undefined ? undefined : layer.message(field)
  return p?.has('source') ? p.string('source') : undefined
}

/** The shape of a sample that a data layer declares, as it enters the net; undefined where it declares none. */
export function declaredShape(layer: Message): number[] | undefined {
  if (layer.string('type') === 'Input') {
    const dims = layer.message('input_param').messages('shape')[0]?.numbers('dim')
    return dims === undefined || dims.length < 2 ? undefined : dims.slice(1)
  }
  const p = layer.message('memory_data_param')
  const crop = layer.message('transform_param').number('crop_size')
  if (!p.has('channels')) return undefined
  return [p.number('channels'), crop > 0 ? crop : p.number('height'), crop > 0 ? crop : p.number('width')]
}

/**
 * The nodes of a data layer's transformation: (x − mean)·scale, then a crop, at random in training and in the middle else, then a mirror
 * image of every second sample. What is random depends on the sample's number and not on the batch that it is in.
 *
 * @param x - the samples as the data gives them
 */
export function transform(e: Emitter, layer: Message, phase: Phase, input: CaffeInput, x: string): string {
  const where = `${layer.at}: layer '${layer.string('name')}'`
  const p = layer.message('transform_param')
  const { shape } = input
  const refuse = (why: string): never => {
    throw new InvalidParametersError(`${where}: ${why}`)
  }
  if (bytes.has(layer.string('type'))) {
    if (p.bool('force_gray') && shape[0] !== 1) refuse(`force_gray needs samples of one channel, and the data has ${shape[0]}`)
    if (p.bool('force_color') && shape[0] !== 3) refuse(`force_color needs samples of three channels, and the data has ${shape[0]}`)
    x = scaled(e, x, p.number('scale'), meanOf(p, input, refuse), input)
    x = cropped(e, x, p.number('crop_size'), phase, shape, refuse)
    if (p.bool('mirror')) {
      if (phase === 'TEST') refuse('mirror in phase TEST would make the score a matter of chance; write mirror: false there')
      x = mirrored(e, x)
    }
  }
  const declared = declaredShape(layer)
  const made = e.shape(x).slice(1)
  if (declared !== undefined && declared.join() !== made.join()) {
    refuse(`it declares samples of ${declared.join('×')} and the data gives ${made.join('×')}`)
  }
  return x
}

/** The mean to subtract, in bytes: a number for all, one a channel, or one an element. */
function meanOf(p: Message, { shape, mean }: CaffeInput, refuse: (why: string) => never): number[] {
  const values = p.numbers('mean_value')
  if (!p.has('mean_file')) {
    if (values.length > 1 && values.length !== shape[0]) refuse(`${values.length} 'mean_value's do not go with ${shape[0]} channels`)
    return values.length === 0 ? [0] : values
  }
  if (values.length > 0) refuse("it has 'mean_file' and 'mean_value'; give one of the two")
  const found = mean?.(p.string('mean_file')) ?? refuse(`mean_file '${p.string('mean_file')}' is not there`)
  if (found.length !== sizeOf(shape))
    refuse(`mean_file '${p.string('mean_file')}' has ${found.length} values for samples of ${shape.join('×')}`)
  return Array.from(found)
}

/** (byte − mean)·scale of values that are (byte − m)·s: x·scale/s + (m − mean)·scale. */
function scaled(e: Emitter, x: string, scale: number, mean: number[], { shape, scaling }: CaffeInput): string {
  const [channels, ...plane] = shape
  const of = scaling ?? { mean: [0], scale: 1 }
  const factor = scale / of.scale
  const size = mean.length === sizeOf(shape) ? sizeOf(plane) : 1
  const shifts = Array.from({ length: channels * size }, (_, i) => {
    const channel = Math.floor(i / size)
    const own = mean.length === sizeOf(shape) ? mean[i] : mean.length === 1 ? mean[0] : mean[channel]
    return ((of.mean[channel] ?? 0) - own) * scale
  })
  const grown = factor === 1 ? x : e.op('Mul', [x, e.scalar(factor)])
  if (shifts.every(s => s === 0)) return grown
  const dims = size === 1 ? [1, channels, ...plane.map(() => 1)] : [1, channels, ...plane]
  return e.op('Add', [grown, e.constant(floats(shifts, dims), e.fresh('transform.shift'))])
}

function cropped(e: Emitter, x: string, crop: number, phase: Phase, shape: number[], refuse: (why: string) => never): string {
  if (crop === 0) return x
  const [, height, width] = shape
  if (shape.length !== 3) refuse(`crop_size needs samples of channels, height and width, not ${shape.join('×')}`)
  if (crop > height || crop > width) refuse(`crop_size ${crop} is larger than the samples of ${shape.join('×')}; take larger ones`)
  if (crop === height && crop === width) return x
  if (phase === 'TEST') {
    const start = [height, width].map(size => Math.floor((size - crop) / 2))
    return e.op('Slice', [x, e.ints(start), e.ints(start.map(s => s + crop)), e.ints([2, 3])])
  }
  // Rows, then columns, each gathered along the axis behind the batch.
  const rows = gathered(e, e.op('Transpose', [x], { perm: [0, 2, 1, 3] }), 'rows', crop, height)
  const columns = gathered(e, e.op('Transpose', [rows], { perm: [0, 3, 2, 1] }), 'columns', crop, width)
  return e.op('Transpose', [columns], { perm: [0, 2, 3, 1] })
}

/** Of each sample [size, …] a run of `count` from a place of its own. */
function gathered(e: Emitter, x: string, what: string, count: number, size: number): string {
  const from = e.op('Unsqueeze', [randoms(e, `crop ${what}`, size - count + 1), e.ints([1])])
  const run = e.constant(int64s(Array.from({ length: count }, (_, i) => i)), e.fresh('transform.run'))
  const places = e.op('Unsqueeze', [e.op('Add', [from, run]), e.ints([2])])
  return e.op('GatherND', [x, places], { batch_dims: 1 })
}

function mirrored(e: Emitter, x: string): string {
  const axis = e.shape(x).length - 1
  const size = e.shape(x)[axis] as number
  const back = e.op('Slice', [x, e.ints([size - 1]), e.ints([-size - 1]), e.ints([axis]), e.ints([-1])])
  const odd = e.op('Equal', [randoms(e, 'mirror', 2), e.int(1)])
  return e.op('Where', [e.op('Unsqueeze', [odd, e.ints(Array.from({ length: axis }, (_, i) => i + 1))]), back, x])
}

/** Largest prime below 2²⁶: squares of residues fit int64. */
const PRIME = 67108859

/** An integer in [0, below) for each sample, int64 [N]: squarings of the sample's number modulo a prime. */
function randoms(e: Emitter, what: string, below: number): string {
  const { graph } = e
  if (!graph.types.has(SAMPLES)) {
    graph.inputs.push(SAMPLES)
    graph.types.set(SAMPLES, { type: 'int32', shape: [graph.types.get(graph.inputs[0])!.shape[0]] })
  }
  const salt = e.int(hash32(`transform ${what}`) % PRIME)
  const modulo = e.int(PRIME)
  let v = e.op('Mod', [e.op('Cast', [SAMPLES], { to: 7 }), modulo])
  for (let i = 0; i < 3; i++) v = e.op('Mod', [e.op('Add', [e.op('Mul', [v, v]), i === 0 ? salt : e.op('Add', [v, salt])]), modulo])
  return e.op('Mod', [v, e.int(below)])
}
