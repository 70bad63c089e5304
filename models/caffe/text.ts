import { Message, type Scalar } from './message.ts'
import { type Field, type MessageType, messageType } from './schema.ts'
import { shown, type Token, Tokens } from './tokens.ts'

/** Messages within messages; Caffe's own go five deep. */
const MAX_DEPTH = 32

/**
 * Reads a message in protobuf's text format.
 *
 * @param type - a message of the schema, such as `NetParameter`
 * @param file - what errors call the text
 * @throws MalformedError `file:line:column: …` at the first thing that is wrong: an unknown field or enum value, a value of another type, a
 * field given twice, unbalanced braces
 * @throws TooLargeError
 */
export function parseText(text: string, type: string, file: string): Message {
  const tokens = new Tokens(text.startsWith('\ufeff') ? text.slice(1) : text, file)
  const message = new Message(messageType(type), tokens.source)
  readFields(tokens, message, undefined, 0)
  return message
}

function readFields(t: Tokens, into: Message, close: string | undefined, depth: number): void {
  const open = into.offset
  for (;;) {
    if (close !== undefined && t.accept(close)) return
    if (t.next.kind === 'end') {
      if (close === undefined) return
      t.fail(`the file ends before the '${close}' that closes this ${into.type.name}`, open)
    }
    if (t.next.kind !== 'name') t.fail(`a field of ${into.type.name} must come here, not ${shown(t.next)}`)
    readField(t, into, depth)
    if (!t.accept(',')) t.accept(';')
  }
}

function readField(t: Tokens, into: Message, depth: number): void {
  const name = t.take()
  const field = into.type.fields.get(name.text) ?? t.fail(unknownField(into.type, name.text), name.offset)
  const colon = t.accept(':')
  const isMessage = typeof field.type === 'object' && field.type.kind === 'message'
  if (!colon && !isMessage) t.fail(`a ':' must follow '${field.name}', not ${shown(t.next)}`)
  if (field.repeated && colon && t.accept('[')) {
    if (t.accept(']')) return
    do add(t, into, field, name, readValue(t, field, depth))
    while (t.accept(','))
    if (!t.accept(']')) t.fail(`',' or ']' must follow in the list of '${field.name}', not ${shown(t.next)}`)
    return
  }
  add(t, into, field, name, readValue(t, field, depth))
}

function add(t: Tokens, into: Message, field: Field, name: Token, value: Scalar | Message): void {
  const values = into.values.get(field.name) as Scalar[] | undefined
  if (values === undefined) into.values.set(field.name, [value] as Scalar[])
  else if (field.repeated) values.push(value as Scalar)
  else t.fail(`'${field.name}' is given twice`, name.offset)
}

function readValue(t: Tokens, field: Field, depth: number): Scalar | Message {
  const { type } = field
  if (typeof type === 'object') return type.kind === 'enum' ? readEnum(t, field) : readMessage(t, field, type, depth)
  if (type === 'string') return readString(t, field)
  if (type === 'bool') return readBool(t, field)
  return readNumber(t, field, type === 'int')
}

function readMessage(t: Tokens, field: Field, type: MessageType, depth: number): Message {
  const open = t.next
  const close = open.kind === 'symbol' ? { '{': '}', '<': '>' }[open.text] : undefined
  if (close === undefined) t.fail(`'{' must follow '${field.name}', not ${shown(open)}`)
  if (depth >= MAX_DEPTH) t.fail(`messages may be nested ${MAX_DEPTH} deep`)
  t.take()
  const message = new Message(type, t.source, open.offset)
  readFields(t, message, close, depth + 1)
  return message
}

function readString(t: Tokens, field: Field): string {
  if (t.next.kind !== 'string') t.fail(`'${field.name}' takes a string in quotes, not ${shown(t.next)}`)
  let value = ''
  while (t.next.kind === 'string') value += t.take().text
  return value
}

const bools: Record<string, boolean> = { true: true, t: true, True: true, '1': true, false: false, f: false, False: false, '0': false }

function readBool(t: Tokens, field: Field): boolean {
  const token = t.next
  if ((token.kind !== 'name' && token.kind !== 'number') || !Object.hasOwn(bools, token.text)) {
    t.fail(`'${field.name}' takes true or false, not ${shown(token)}`)
  }
  return bools[t.take().text]
}

function readNumber(t: Tokens, field: Field, integer: boolean): number {
  const start = t.next
  const negative = t.accept('-')
  const token = t.next
  const value = integer ? integerOf(token) : floatOf(token)
  if (value === undefined) {
    t.fail(
      `'${field.name}' takes ${integer ? 'a whole number' : 'a number'}, not ${negative ? "'-' and " : ''}${shown(token)}`,
      start.offset
    )
  }
  t.take()
  return negative ? -value : value
}

function integerOf({ kind, text }: Token): number | undefined {
  if (kind !== 'number') return undefined
  const value = /^0[xX][0-9A-Fa-f]+$/.test(text) ? Number(text) : /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : decimal(text)
  return Number.isSafeInteger(value) ? value : undefined
}

function decimal(text: string): number {
  return /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : Number.NaN
}

function floatOf({ kind, text }: Token): number | undefined {
  if (kind === 'name') return /^inf(inity)?f?$/i.test(text) ? Number.POSITIVE_INFINITY : /^nanf?$/i.test(text) ? Number.NaN : undefined
  if (kind !== 'number' || !/^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fF]?$/.test(text)) return undefined
  return Number(text.replace(/[fF]$/, ''))
}

function readEnum(t: Tokens, field: Field): string {
  const type = field.type as Extract<Field['type'], { kind: 'enum' }>
  const start = t.next
  const negative = t.accept('-')
  const token = t.next
  const value = token.kind === 'number' ? type.names.get((negative ? -1 : 1) * (integerOf(token) ?? Number.NaN)) : token.text
  if (value === undefined || !type.numbers.has(value) || (token.kind !== 'name' && token.kind !== 'number')) {
    const names = [...type.numbers.keys()]
    const some = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '')
    t.fail(`'${field.name}' takes one of ${some}, not ${shown(token)}`, start.offset)
  }
  t.take()
  return value
}

function unknownField(type: MessageType, name: string): string {
  const apart = (known: string) => distance(known, name)
  const [near] = [...type.fields.keys()].sort((a, b) => apart(a) - apart(b))
  const hint = near === undefined || apart(near) > 2 ? '; remove it' : `; did you mean '${near}'?`
  return `${type.name} has no field '${name.slice(0, 60)}'${hint}`
}

/** Edits between two names, counted up to 3. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1]))
    row = next
  }
  return row[b.length]
}
