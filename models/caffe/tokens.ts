import { MalformedError, TooLargeError } from '../../common/index.ts'
import { positionIn, type Source } from './message.ts'

/** Longest text, characters: a net of a thousand layers has some 300,000. */
export const MAX_TEXT = 16 * 1024 * 1024

export interface Token {
  kind: 'name' | 'number' | 'string' | 'symbol' | 'end'
  /** The content of a string, the text of anything else. */
  text: string
  offset: number
}

const SPACE = /(?:[\s\0]|#[^\n]*)*/y
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /[0-9.][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+[fF]?)?/y
const ESCAPES: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** Cuts protobuf's text format into tokens, one ahead. */
export class Tokens {
  readonly #source: Source & { text: string }
  #at = 0
  next: Token

  constructor(text: string, file: string) {
    if (text.length > MAX_TEXT) throw new TooLargeError(`${file} has ${text.length} characters; at most ${MAX_TEXT} are read`)
    this.#source = { file, text }
    this.next = this.#read()
  }

  get source(): Source {
    return this.#source
  }

  take(): Token {
    const token = this.next
    this.next = this.#read()
    return token
  }

  /** Takes the next token when it is this symbol. */
  accept(symbol: string): boolean {
    if (this.next.kind !== 'symbol' || this.next.text !== symbol) return false
    this.take()
    return true
  }

  /** @throws MalformedError naming file, line and column of `offset` */
  fail(why: string, offset = this.next.offset): never {
    throw new MalformedError(`${positionIn(this.#source, offset)}: ${why}`)
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#source.text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #read(): Token {
    const { text } = this.#source
    this.#match(SPACE)
    const offset = this.#at
    if (offset >= text.length) return { kind: 'end', text: '', offset }
    const c = text[offset]
    if (c === '"' || c === "'") return { kind: 'string', text: this.#string(c), offset }
    if (/[A-Za-z_]/.test(c)) return { kind: 'name', text: this.#match(NAME), offset }
    if (/[0-9]/.test(c) || (c === '.' && /[0-9]/.test(text[offset + 1] ?? ''))) return { kind: 'number', text: this.#match(NUMBER), offset }
    this.#at++
    return { kind: 'symbol', text: c, offset }
  }

  #string(quote: string): string {
    const { text } = this.#source
    const start = this.#at++
    let value = ''
    for (;;) {
      const c = text[this.#at]
      if (c === undefined || c === '\n') return this.fail('the string is not closed', start)
      this.#at++
      if (c === quote) return value
      value += c === '\\' ? this.#escape() : c
    }
  }

  #escape(): string {
    const { text } = this.#source
    const start = this.#at - 1
    const octal = /[0-7]{1,3}/y
    const hex = /[xX][0-9A-Fa-f]{1,2}/y
    const digits = this.#match(octal)
    if (digits !== '') return String.fromCharCode(Number.parseInt(digits, 8))
    const pair = this.#match(hex)
    if (pair !== '') return String.fromCharCode(Number.parseInt(pair.slice(1), 16))
    const c = text[this.#at++]
    if (c !== undefined && '\\\'"?'.includes(c)) return c
    return ESCAPES[c] ?? this.fail('the string holds an escape that is not known', start)
  }
}

/** How messages show a token. */
export function shown({ kind, text }: Token): string {
  if (kind === 'end') return 'the end of the file'
  return `'${text.replace(/\p{C}/gu, '\ufffd').slice(0, 40)}'`
}
