import type { Rng } from '../../../common/index.ts'
import { Message, type Scalar } from '../../../models/caffe/message.ts'
import { type Field, type MessageType, messageType } from '../../../models/caffe/schema.ts'

/** A message with random fields, in all types of values, some of them awkward. */
export function randomMessage(rng: Rng, type: string | MessageType, binary: boolean, depth = 0): Message {
  const message = new Message(typeof type === 'string' ? messageType(type) : type)
  for (const field of message.type.fields.values()) {
    const nested = typeof field.type === 'object' && field.type.kind === 'message'
    if (rng.float() > (nested ? 0.2 : 0.4) || (nested && depth > 3) || (binary && field.number === 0)) continue
    const count = field.repeated ? 1 + rng.int(3) : 1
    message.set(field.name, Array.from({ length: count }, () => randomValue(rng, field, binary, depth)) as Scalar[])
  }
  return message
}

const texts = ['', 'data', 'a "quoted"\n\\ line', "it's", 'tab\tand \x07', 'größe ∞ 🙂', '# no comment']
const floats = [0, -0, 1, -1.5, 1e-8, 3.4e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
const integers = [0, 1, -1, 127, 128, 16384, -70000, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, -(2 ** 52)]

function randomValue(rng: Rng, { type }: Field, binary: boolean, depth: number): Scalar | Message {
  const pick = <T>(list: readonly T[]): T => list[rng.int(list.length)]
  if (typeof type === 'object') return type.kind === 'enum' ? pick([...type.numbers.keys()]) : randomMessage(rng, type, binary, depth + 1)
  if (type === 'string') return pick(texts)
  if (type === 'bool') return rng.int(2) === 1
  if (type === 'int') return rng.int(2) === 1 ? pick(integers) : rng.int(1000)
  const value = rng.int(2) === 1 ? pick(floats) : rng.normal()
  return binary && type === 'float' ? Math.fround(value) : value
}

/** A message as plain data, to compare. */
export function plain(message: Message): unknown {
  return Array.from(message.values, ([name, values]): [string, unknown] => [
    name,
    Array.from(values as ArrayLike<Scalar | Message>, v => (v instanceof Message ? plain(v) : v))
  ]).sort(([a], [b]) => (a < b ? -1 : 1))
}
