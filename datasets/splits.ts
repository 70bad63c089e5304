import { InvalidParametersError } from '../common/index.ts'
import type { Split } from './types.ts'

/**
 * How bytes become floats: value = (byte − mean[channel]) · scale, in float64, rounded once to float32.
 */
export interface Scaling {
  /** One a channel, in bytes. */
  mean: number[]
  scale: number
}

/** Caffe's scaling for MNIST, 1/256: grey data sets (`digits`, `fashion-mnist`, `idx:`) give values in [0, 0.996]. */
export const GREY_SCALING: Scaling = { mean: [0], scale: 1 / 256 }

/**
 * 1/32 brings a colour byte less its channel's mean to about ±4, deviation 2. Caffe's CIFAR-10 quick takes such bytes unscaled, with a rate of
 * 0.001; at unit deviation its small initial weights keep it on a plateau for an epoch. Here it starts at once with 0.01, as the other models do.
 */
export const COLOUR_SCALE = 1 / 32

/** Samples kept as bytes, converted when read. */
export function byteSplit(images: Uint8Array, classes: Uint8Array, shape: number[], scaling: Scaling): Split {
  const size = sampleSize(shape)
  const count = classes.length
  const convert = converter(shape, scaling)
  return {
    count,
    read(ids, into, labels) {
      checkTargets(ids, into, labels, size)
      for (let i = 0; i < ids.length; i++) {
        const id = checkId(ids[i]!, count)
        convert(images, id * size, into, i * size)
        labels[i] = classes[id]!
      }
    }
  }
}

/** Draws one sample: bytes c·h·w at `offset` of `into`. @returns its class */
export type Draw = (id: number, into: Uint8Array, offset: number) => number

/** Samples drawn anew at each read, for sets too large to keep. */
export function drawnSplit(count: number, draw: Draw, shape: number[], scaling: Scaling): Split {
  const size = sampleSize(shape)
  const convert = converter(shape, scaling)
  const picture = new Uint8Array(size)
  return {
    count,
    read(ids, into, labels) {
      checkTargets(ids, into, labels, size)
      for (let i = 0; i < ids.length; i++) {
        labels[i] = draw(checkId(ids[i]!, count), picture, 0)
        convert(picture, 0, into, i * size)
      }
    }
  }
}

/** Numbers of one sample of `shape`. */
export function sampleSize(shape: number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

type Convert = (from: Uint8Array, fromOffset: number, into: Float32Array, offset: number) => void

function converter(shape: number[], { mean, scale }: Scaling): Convert {
  const channels = shape[0]!
  const plane = sampleSize(shape) / channels
  return (from, fromOffset, into, offset) => {
    for (let c = 0; c < channels; c++) {
      const shift = mean[c] ?? 0
      const end = offset + plane
      while (offset < end) into[offset++] = (from[fromOffset++]! - shift) * scale
    }
  }
}

/** @throws InvalidParametersError when an id is not below `count` */
export function checkId(id: number, count: number): number {
  if (Number.isInteger(id) && id >= 0 && id < count) return id
  throw new InvalidParametersError(`there is no sample ${id}: ids go from 0 to ${count - 1}`)
}

function checkTargets(ids: ArrayLike<number>, into: Float32Array, labels: Int32Array, size: number): void {
  const n = ids.length
  if (into.length >= n * size && labels.length >= n) return
  throw new InvalidParametersError(
    `${n} samples need room for ${n * size} floats and ${n} labels; the targets hold ${into.length} and ${labels.length}`
  )
}
