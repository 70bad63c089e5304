import { MalformedError } from '../../common/index.ts'
import { type Field, type MessageType, messageType } from './schema.ts'

/** Enum values are their names. */
export type Scalar = number | boolean | string

/** Where a message was read from; positions are worked out when somebody asks. */
export interface Source {
  /** What messages call it: a path. */
  file: string
  /** The text, where it was text. */
  text?: string
}

/** `file:line:column` of an offset into a text, both counted from 1; the file alone where it was binary. */
export function positionIn({ file, text }: Source, offset: number): string {
  if (text === undefined) return file
  let line = 1
  let start = 0
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++
    start = at + 1
  }
  return `${file}:${line}:${offset - start + 1}`
}

/**
 * A message of Caffe's: fields by name, absent ones with their defaults. Repeated floats from a binary file are one `Float32Array`.
 */
export class Message {
  readonly type: MessageType
  readonly source: Source
  readonly offset: number
  readonly values = new Map<string, Scalar[] | Message[] | Float32Array>()

  constructor(type: MessageType, source: Source = { file: type.name }, offset = 0) {
    this.type = type
    this.source = source
    this.offset = offset
  }

  /** `file:line:column` */
  get at(): string {
    return positionIn(this.source, this.offset)
  }

  /** @throws MalformedError with the position in front */
  fail(why: string): never {
    throw new MalformedError(`${this.at}: ${why}`)
  }

  has(name: string): boolean {
    this.#field(name)
    return (this.values.get(name)?.length ?? 0) > 0
  }

  number(name: string): number {
    return this.#scalar(name, 0) as number
  }

  bool(name: string): boolean {
    return this.#scalar(name, false) as boolean
  }

  /** A string, or the name of an enum's value. */
  string(name: string): string {
    return this.#scalar(name, '') as string
  }

  numbers(name: string): number[] {
    this.#field(name)
    return Array.from((this.values.get(name) ?? []) as ArrayLike<number>)
  }

  strings(name: string): string[] {
    this.#field(name)
    return (this.values.get(name) ?? []) as string[]
  }

  bools(name: string): boolean[] {
    this.#field(name)
    return (this.values.get(name) ?? []) as boolean[]
  }

  floats(name: string): Float32Array {
    this.#field(name)
    const values = this.values.get(name) ?? []
    return values instanceof Float32Array ? values : Float32Array.from(values as number[])
  }

  /** The message in a field; one with all defaults where it is absent. */
  message(name: string): Message {
    const { type } = this.#field(name)
    const value = this.values.get(name)?.[0]
    return value instanceof Message ? value : new Message(type as MessageType, this.source, this.offset)
  }

  messages(name: string): Message[] {
    this.#field(name)
    return (this.values.get(name) ?? []) as Message[]
  }

  /** Sets a field, or with nothing clears it. */
  set(name: string, value?: Scalar | Message | Scalar[] | Message[] | Float32Array): this {
    this.#field(name)
    if (value === undefined) this.values.delete(name)
    else this.values.set(name, Array.isArray(value) || value instanceof Float32Array ? value : ([value] as Scalar[]))
    return this
  }

  /** A copy that shares the messages within. */
  copy(): Message {
    const copy = new Message(this.type, this.source, this.offset)
    for (const [name, value] of this.values) copy.values.set(name, value instanceof Float32Array ? value : ([...value] as Scalar[]))
    return copy
  }

  #scalar(name: string, zero: Scalar): Scalar {
    const field = this.#field(name)
    const value = this.values.get(name)?.[0]
    if (value !== undefined) return value as Scalar
    if (field.otherwise !== undefined) return field.otherwise
    return typeof field.type === 'object' && field.type.kind === 'enum' ? [...field.type.names.values()][0] : zero
  }

  #field(name: string): Field {
    const field = this.type.fields.get(name)
    if (field === undefined) throw new Error(`message ${this.type.name} has no field ${name}`)
    return field
  }
}

/** An empty message. */
export function message(type: string): Message {
  return new Message(messageType(type))
}
