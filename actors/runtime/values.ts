import { decode, encode } from 'cborg'
import { InvalidParametersError, MalformedError, TooLargeError } from '../../common/index.ts'

/** Largest argument or result of a call, bytes. */
export const MAX_VALUE = 3 * 1024 * 1024

/**
 * CBOR of what an actor is given or gives: numbers, texts, bytes, lists and plain objects of those.
 *
 * @throws InvalidParametersError when it holds anything else, TooLargeError when it is over `limit` bytes
 */
export function encodeValue(value: unknown, what: string, limit = MAX_VALUE): Uint8Array<ArrayBuffer> {
  let bytes: Uint8Array<ArrayBuffer>
  try {
    bytes = encode(value === undefined ? null : value) as Uint8Array<ArrayBuffer>
  } catch (error) {
    const reason = error instanceof RangeError ? 'it holds itself' : (error as Error).message.replace(/^CBOR encode error: /, '')
    throw new InvalidParametersError(`the ${what} cannot travel (${reason.slice(0, 200)}): use plain objects, lists, texts, numbers, bytes`)
  }
  if (bytes.length > limit) throw new TooLargeError(`the ${what} may hold ${limit} bytes, not ${bytes.length}`)
  return bytes
}

/** @throws MalformedError */
export function decodeValue(bytes: Uint8Array, what: string): unknown {
  try {
    return decode(bytes)
  } catch (error) {
    throw new MalformedError(`the ${what} is not CBOR: ${(error as Error).message.slice(0, 200)}`)
  }
}

/** A copy that shares nothing with `value`, as if it had travelled; the same errors, too. */
export function isolate(value: unknown, what: string): unknown {
  switch (typeof value) {
    case 'number':
    case 'string':
    case 'boolean':
      return value
    case 'undefined':
      return null
    default:
      return value === null ? null : decodeValue(encodeValue(value, what), what)
  }
}
