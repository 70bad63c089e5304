import { MalformedError } from '../../../common/index.ts'

/** What trainers say to one another beside transfers. */
export type TrainerMessage =
  /** For the exchange strategy. */
  | { type: 'strategy'; generation: number; body: Uint8Array }
  /** "Send me the state that generation begins with": parameters, optimizer, in the regions named. */
  | { type: 'state'; generation: number }
  /** The sample ledger of an asynchronous job, as its core encodes it. */
  | { type: 'ledger'; body: Uint8Array }
  /** "Send me your parameters: the run is over", number `round`. */
  | { type: 'final'; round: number }
  /** The answer: the push-sum weight of the parameters that follow as a transfer. */
  | { type: 'weight'; round: number; weight: number }

const kinds = ['strategy', 'state', 'ledger', 'final', 'weight'] as const

/** One byte of kind, four of generation or round (little-endian), then the body. */
export function encodeMessage(message: TrainerMessage): Uint8Array {
  const body = 'body' in message ? message.body : new Uint8Array(message.type === 'weight' ? 8 : 0)
  const bytes = new Uint8Array(5 + body.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = kinds.indexOf(message.type)
  view.setUint32(1, 'generation' in message ? message.generation : 'round' in message ? message.round : 0, true)
  bytes.set(body, 5)
  if (message.type === 'weight') view.setFloat64(5, message.weight, true)
  return bytes
}

/** @throws MalformedError */
export function decodeMessage(bytes: Uint8Array): TrainerMessage {
  const type = kinds[bytes[0] ?? 255]
  if (type === undefined || bytes.length < 5) throw new MalformedError('a trainer message has no known kind')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const number = view.getUint32(1, true)
  const body = bytes.subarray(5)
  switch (type) {
    case 'strategy':
      return { type, generation: number, body }
    case 'ledger':
      return { type, body }
    case 'state':
      return { type, generation: number }
    case 'final':
      return { type, round: number }
    case 'weight': {
      if (body.length !== 8) throw new MalformedError('a weight message has the wrong length')
      const weight = view.getFloat64(5, true)
      if (!(weight >= 0 && weight <= 1e6)) throw new MalformedError(`a trainer's weight cannot be ${weight}`)
      return { type, round: number, weight }
    }
  }
}
