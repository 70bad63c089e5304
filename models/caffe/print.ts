import { Message, type Scalar } from './message.ts'
import type { Field } from './schema.ts'

/**
 * A message in protobuf's text format, fields in the order of the schema, two spaces a level: what {@link parseText} reads back as it is.
 */
export function printText(message: Message): string {
  const lines: string[] = []
  print(message, '', lines)
  return lines.map(line => `${line}\n`).join('')
}

function print(message: Message, indent: string, lines: string[]): void {
  for (const [name, field] of message.type.fields) {
    for (const value of Array.from((message.values.get(name) ?? []) as ArrayLike<Scalar | Message>)) {
      if (!(value instanceof Message)) {
        lines.push(`${indent}${name}: ${scalar(field, value)}`)
        continue
      }
      lines.push(`${indent}${name} {`)
      print(value, `${indent}  `, lines)
      lines.push(`${indent}}`)
    }
  }
}

function scalar({ type }: Field, value: Scalar): string {
  if (type === 'string') return quote(value as string)
  if (typeof value !== 'number') return String(value)
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return Object.is(value, -0) ? '-0' : String(value)
}

function quote(text: string): string {
  const escaped = text.replace(/[\\"\n\r\t]|\p{Cc}/gu, c => {
    const named = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[c]
    return named ?? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`
  })
  return `"${escaped}"`
}
