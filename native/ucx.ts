import { GradmeshError } from '../common/index.ts'
import { loadPart } from './addon.ts'

/** What happened to a link: it works in both directions; the other side published or consumed; it is of no use any more. */
export type UcxEvent = 'open' | 'moved' | 'failed'

/** A worker of UCX on a thread of its own, listening for other workers; see src/ucx/worker.h. Links are numbered by the caller. */
export interface UcxNode {
  readonly port: number
  /** Registrations and endpoints that are not given back yet. */
  readonly held: number
  /** Register two rings. `in` is written by the other side, into its copy of which `out` is put. */
  make(link: number, ringBytes: number, token: Uint8Array): { out: ArrayBuffer; in: ArrayBuffer; address: bigint; key: Uint8Array }
  /** What the other side said of its end. Connects to it, or, with an empty `ip`, waits to be connected. Then comes `open` or `failed`. */
  meet(link: number, theirLink: number, theirToken: Uint8Array, address: bigint, key: Uint8Array, ip: string, port: number): void
  publish(link: number, head: number): void
  consume(link: number, position: number): void
  peerHead(link: number): number
  peerConsumed(link: number): number
  starve(link: number, yes: boolean): void
  release(link: number): void
  close(): void
}

export interface UcxOptions {
  /** UCX_TLS, where the environment does not set it. */
  transports: string
  /** UCX_SOCKADDR_TLS_PRIORITY, where the environment does not set it. */
  priority: string
  /** Address to listen on. */
  address: string
  /** A link on which something is owed and nothing moves for so long has failed, ms. */
  watchdog: number
}

interface UcxPart {
  load(): { version: string } | { problem: string }
  UcxNode: new (
    transports: string,
    priority: string,
    address: string,
    watchdog: number,
    onEvent: (link: number, event: UcxEvent, message: string) => void
  ) => UcxNode
}

const part = loadPart<UcxPart>('ucx')

/** UCX as it is here. Its libraries are looked for at the first call. @returns its version, or in words for a user what is missing */
export function ucxReport(): { version: string } | { problem: string } {
  if (part.module === undefined) {
    return { problem: `${part.problem}; where UCX's headers are absent, install them first (Debian: apt-get install libucx-dev)` }
  }
  // A library in somebody's process prints nothing, catches no signals and replaces no functions.
  process.env['UCX_LOG_LEVEL'] ??= 'fatal'
  process.env['UCX_HANDLE_ERRORS'] ??= 'none'
  process.env['UCX_MEM_EVENTS'] ??= 'no'
  process.env['UCX_WARN_UNUSED_ENV_VARS'] ??= 'no'
  return part.module.load()
}

/** @throws GradmeshError when UCX is absent, Error when it finds no device */
export function createUcxNode(options: UcxOptions, onEvent: (link: number, event: UcxEvent, message: string) => void): UcxNode {
  const report = ucxReport()
  if ('problem' in report) throw new GradmeshError(`RDMA is absent: ${report.problem}`)
  return new part.module!.UcxNode(options.transports, options.priority, options.address, options.watchdog, onEvent)
}
