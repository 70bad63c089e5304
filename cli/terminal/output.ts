import { styleText } from 'node:util'
import { toWireError } from '../../common/index.ts'
import { cut, plain } from './format.ts'

/** What a stream must offer to be written to; `process.stdout` and a test's own both do. */
export interface Sink {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

export interface OutputInit {
  stdout: Sink
  stderr: Sink
  env: NodeJS.ProcessEnv
  /** JSON lines instead of text. */
  json: boolean
  /** Monotonic ms. */
  now(): number
}

type Style = Parameters<typeof styleText>[0]

/** Between two redraws of the live line, ms. */
const REDRAW = 100

/**
 * All that a command prints. Text goes to stdout for people, one JSON object a line with `--json`; warnings and errors go to stderr
 * in the same form. On a terminal one live line may stand below what has been printed.
 */
export class Output {
  readonly json: boolean
  /** Whether a live line is shown: on a terminal that is not a build log. */
  readonly live: boolean
  readonly #init: OutputInit
  #liveText = ''
  #drawn = false
  #lastDraw = Number.NEGATIVE_INFINITY

  constructor(init: OutputInit) {
    this.#init = init
    this.json = init.json
    this.live = !init.json && init.stdout.isTTY === true && !isSet(init.env['CI']) && init.env['TERM'] !== 'dumb'
  }

  /** Text for people; nothing with `--json`. */
  line(text = ''): void {
    if (this.json) return
    this.#above(this.#init.stdout, `${text}\n`)
  }

  /** One record for programs; nothing without `--json`. */
  record(record: { type: string; [key: string]: unknown }): void {
    if (this.json) this.#init.stdout.write(`${JSON.stringify(record)}\n`)
  }

  warn(message: string): void {
    if (this.json) this.#init.stderr.write(`${JSON.stringify({ type: 'warning', message })}\n`)
    else this.#above(this.#init.stderr, `${this.style('yellow', 'warning:', this.#init.stderr)} ${plain(message)}\n`)
  }

  /** One line of a node's log. */
  log({ level, component, message, ...fields }: { level: string; component: string; message: string; [field: string]: unknown }): void {
    if (this.json) {
      this.#init.stderr.write(`${JSON.stringify({ type: 'log', level, component, message, ...fields })}\n`)
      return
    }
    const rest = Object.entries(fields).map(([key, value]) => plain(` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`))
    const where = component === '' ? '' : `${this.style('dim', component, this.#init.stderr)} `
    this.#above(this.#init.stderr, `${where}${level === 'info' ? '' : `${level}: `}${message}${rest.join('')}\n`)
  }

  /** One line, whatever the error; its stack with `GRADMESH_DEBUG`. */
  error(error: unknown): void {
    this.endLive()
    const wire = toWireError(error)
    const message = plain(wire.message)
    const stack = isSet(this.#init.env['GRADMESH_DEBUG']) && error instanceof Error ? `${error.stack}\n` : ''
    const line = this.json
      ? JSON.stringify({ type: 'error', name: wire.name, message, retryable: wire.retryable })
      : `${this.style('red', 'error:', this.#init.stderr)} ${message}`
    this.#init.stderr.write(`${line}\n${stack}`)
  }

  /** `text` in a style, where the stream shows colours and the user wants them. */
  style(style: Style, text: string, sink: Sink = this.#init.stdout): string {
    return this.#colours(sink) ? styleText(style, text, { validateStream: false }) : text
  }

  /** Shows `text` as the live line, redrawn ten times a second at most. */
  setLive(text: string): void {
    if (!this.live) return
    this.#liveText = text
    const now = this.#init.now()
    if (now - this.#lastDraw < REDRAW) return
    this.#lastDraw = now
    this.#draw()
  }

  /** Leaves the last state of the live line standing. */
  endLive(): void {
    if (!this.#drawn) return
    this.#draw()
    this.#init.stdout.write('\n')
    this.#drawn = false
    this.#liveText = ''
  }

  #draw(): void {
    const columns = this.#init.stdout.columns ?? 80
    this.#init.stdout.write(`\r\u001b[2K${cut(this.#liveText, columns - 1)}`)
    this.#drawn = true
  }

  /** Writes whole lines above the live line. */
  #above(sink: Sink, text: string): void {
    if (!this.#drawn) {
      sink.write(text)
      return
    }
    this.#init.stdout.write('\r\u001b[2K')
    sink.write(text)
    this.#draw()
  }

  /** https://no-color.org: any value but the empty one turns colours off; FORCE_COLOR turns them on where there is no terminal. */
  #colours(sink: Sink): boolean {
    const { env } = this.#init
    if (this.json || (env['NO_COLOR'] ?? '') !== '') return false
    if (env['FORCE_COLOR'] !== undefined) return env['FORCE_COLOR'] !== '0'
    return sink.isTTY === true && env['TERM'] !== 'dumb'
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}
