import { InvalidParametersError } from '../../common/index.ts'
import { int8Bytes, type Kernels, SGD_FORMS } from './kernels.ts'

/** Scalars that each rule reads. */
const SCALARS = { sgd: 6, adagrad: 5, adadelta: 7, rmsprop: 8, adam: 11, lamb: 12 }

/** `kernels` behind checks of their arguments: a wrong one is named, and never reaches memory that is not its own. */
export function checked(kernels: Kernels): Kernels {
  return {
    add(into, from) {
      same('add', into, from)
      kernels.add(into, from)
    },
    blend(into, from, factor) {
      same('blend', into, from)
      kernels.blend(into, from, factor)
    },
    combine(into, from, alpha, beta) {
      same('combine', into, from)
      kernels.combine(into, from, alpha, beta)
    },
    addScaled(into, from, factor) {
      same('addScaled', into, from)
      kernels.addScaled(into, from, factor)
    },
    scale(into, factor) {
      floats('scale', into)
      kernels.scale(into, factor)
    },
    average(into, from) {
      if (!Array.isArray(from) || from.length === 0) throw new InvalidParametersError('average takes at least one array')
      same('average', into, ...from)
      kernels.average(into, from)
    },
    dot(x, y) {
      same('dot', x, y)
      return kernels.dot(x, y)
    },
    sumSquares(x) {
      floats('sumSquares', x)
      return kernels.sumSquares(x)
    },
    sumAbs(x) {
      floats('sumAbs', x)
      return kernels.sumAbs(x)
    },
    maxAbs(x) {
      floats('maxAbs', x)
      return kernels.maxAbs(x)
    },
    packHalf(from, into) {
      floats('packHalf', from)
      packed('packHalf', into, 2 * from.length)
      kernels.packHalf(from, into)
    },
    unpackHalf(from, into) {
      floats('unpackHalf', into)
      packed('unpackHalf', from, 2 * into.length)
      kernels.unpackHalf(from, into)
    },
    packBfloat(from, into) {
      floats('packBfloat', from)
      packed('packBfloat', into, 2 * from.length)
      kernels.packBfloat(from, into)
    },
    unpackBfloat(from, into) {
      floats('unpackBfloat', into)
      packed('unpackBfloat', from, 2 * into.length)
      kernels.unpackBfloat(from, into)
    },
    packInt8(from, into) {
      floats('packInt8', from)
      packed('packInt8', into, int8Bytes(from.length))
      kernels.packInt8(from, into)
    },
    unpackInt8(from, into) {
      floats('unpackInt8', into)
      packed('unpackInt8', from, int8Bytes(into.length))
      kernels.unpackInt8(from, into)
    },
    topK(x, indices, values) {
      floats('topK', x)
      sparse('topK', indices, values)
      if (indices.length > x.length) throw new InvalidParametersError(`topK cannot select ${indices.length} of ${x.length} floats`)
      kernels.topK(x, indices, values)
    },
    scatterAdd(into, indices, values) {
      floats('scatterAdd', into)
      sparse('scatterAdd', indices, values)
      return kernels.scatterAdd(into, indices, values)
    },
    encodeThreshold(residual, threshold, words) {
      floats('encodeThreshold', residual)
      unsigned('encodeThreshold', words)
      if (residual.length > 2 ** 31) throw new InvalidParametersError(`encodeThreshold names elements by 31 bits, not ${residual.length}`)
      positive('encodeThreshold', threshold)
      return kernels.encodeThreshold(residual, threshold, words)
    },
    decodeThreshold(words, threshold, into) {
      floats('decodeThreshold', into)
      unsigned('decodeThreshold', words)
      return kernels.decodeThreshold(words, threshold, into)
    },
    encodeBitmap(residual, threshold, bytes) {
      floats('encodeBitmap', residual)
      packed('encodeBitmap', bytes, Math.ceil(residual.length / 4))
      positive('encodeBitmap', threshold)
      return kernels.encodeBitmap(residual, threshold, bytes)
    },
    decodeBitmap(bytes, threshold, into) {
      floats('decodeBitmap', into)
      packed('decodeBitmap', bytes, Math.ceil(into.length / 4))
      kernels.decodeBitmap(bytes, threshold, into)
    },
    sgd(form, w, g, v, scalars) {
      if (SGD_FORMS[form] === undefined) throw new InvalidParametersError(`sgd has no form ${form}; forms are 0 to ${SGD_FORMS.length - 1}`)
      update('sgd', scalars, w, g, ...(form === 0 ? [] : [v]))
      kernels.sgd(form, w, g, v, scalars)
    },
    adagrad(w, g, h, scalars) {
      update('adagrad', scalars, w, g, h)
      kernels.adagrad(w, g, h, scalars)
    },
    adadelta(w, g, h, u, scalars) {
      update('adadelta', scalars, w, g, h, u)
      kernels.adadelta(w, g, h, u, scalars)
    },
    rmsprop(w, g, h, b, scalars) {
      update('rmsprop', scalars, w, g, h, ...(b === undefined ? [] : [b]))
      kernels.rmsprop(w, g, h, b, scalars)
    },
    adam(w, g, m, v, scalars) {
      update('adam', scalars, w, g, m, v)
      kernels.adam(w, g, m, v, scalars)
    },
    lambMoments(w, g, m, v, scalars) {
      update('lamb', scalars, w, g, m, v)
      return kernels.lambMoments(w, g, m, v, scalars)
    },
    lambApply(w, m, v, scalars) {
      update('lamb', scalars, w, m, v)
      kernels.lambApply(w, m, v, scalars)
    },
    checksum(bytes, seed = 0) {
      if (!(bytes instanceof Uint8Array)) throw wrong('checksum', 'a Uint8Array', bytes)
      attached('checksum', bytes)
      return kernels.checksum(bytes, seed)
    }
  }
}

function floats(kernel: string, x: unknown): asserts x is Float32Array {
  if (!(x instanceof Float32Array)) throw wrong(kernel, 'a Float32Array', x)
  attached(kernel, x)
}

function same(kernel: string, first: Float32Array, ...others: (Float32Array | undefined)[]): void {
  floats(kernel, first)
  for (const other of others) {
    floats(kernel, other)
    if (other.length !== first.length) {
      throw new InvalidParametersError(`${kernel} takes arrays of one length, not ${first.length} and ${other.length} floats`)
    }
  }
}

function packed(kernel: string, x: unknown, bytes: number): asserts x is Uint8Array {
  if (!(x instanceof Uint8Array)) throw wrong(kernel, 'a Uint8Array', x)
  attached(kernel, x)
  if (x.length !== bytes) throw new InvalidParametersError(`${kernel} takes ${bytes} packed bytes for these floats, not ${x.length}`)
}

function unsigned(kernel: string, x: unknown): asserts x is Uint32Array {
  if (!(x instanceof Uint32Array)) throw wrong(kernel, 'a Uint32Array', x)
  attached(kernel, x)
}

function sparse(kernel: string, indices: Uint32Array, values: Float32Array): void {
  unsigned(kernel, indices)
  floats(kernel, values)
  if (indices.length !== values.length) {
    throw new InvalidParametersError(`${kernel} takes a value for each index, not ${values.length} for ${indices.length}`)
  }
}

function positive(kernel: string, threshold: number): void {
  if (!(threshold > 0 && threshold < Infinity))
    throw new InvalidParametersError(`the threshold of ${kernel} must be above 0, not ${threshold}`)
}

function update(rule: keyof typeof SCALARS, scalars: Float32Array, first: Float32Array, ...others: (Float32Array | undefined)[]): void {
  same(rule, first, ...others)
  floats(rule, scalars)
  if (scalars.length < SCALARS[rule]) throw new InvalidParametersError(`${rule} takes ${SCALARS[rule]} scalars, not ${scalars.length}`)
}

/** A detached buffer has no bytes left; without this a call on one would pass as a call on nothing. */
function attached(kernel: string, x: ArrayBufferView): void {
  if (x.byteLength === 0 && (x.buffer as ArrayBuffer & { detached?: boolean }).detached === true) {
    throw new InvalidParametersError(`${kernel}: the memory of an argument was given away or closed`)
  }
}

function wrong(kernel: string, takes: string, x: unknown): InvalidParametersError {
  const kind = typeof x === 'object' && x !== null ? (x.constructor?.name ?? 'object') : typeof x
  return new InvalidParametersError(`${kernel} takes ${takes}, not ${kind}`)
}
