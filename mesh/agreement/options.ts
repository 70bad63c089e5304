import type { Clock, Logger, Rng } from '../../common/index.ts'
import type { Decision, Report } from './state.ts'

/** Where registers are kept. What `persist` resolved for must survive a crash of the machine. */
export interface RegisterStore {
  load(): Iterable<[string, Uint8Array]> | Promise<Iterable<[string, Uint8Array]>>
  persist(key: string, value: Uint8Array): Promise<void>
  remove?(key: string): Promise<void>
}

export interface AgreementPorts {
  clock: Clock
  random: Rng
  /** Sends one message, at best; never blocks and never throws. Unanswered messages are repeated. */
  send(peer: string, bytes: Uint8Array): void
  store: RegisterStore
}

/** What this voter reports for `key`. When it resolves, the application must not go on with what the key is to replace. */
export type Reporter = (key: string) => Uint8Array | Promise<Uint8Array>

export interface AgreementOptions {
  self: string
  ports: AgreementPorts
  /** Asked for keys that no registered reporter's prefix fits; empty reports by default. */
  onReport?: Reporter
  /** Longest wait for a reporter, ms; then this node is as good as silent for that attempt. @default 10000 */
  reportTimeout?: number
  /** Time between repetitions of an unanswered message, ms. @default 500 */
  resend?: number
  logger?: Logger
}

export interface ProposeOptions {
  /** Who decides, named by the record that came before. A majority of all of them must answer. */
  voters: string[]
  /** Others that are told the decision. */
  learners?: string[]
  /** Whom the caller takes for alive now: once those have answered nobody is waited for. @default nobody is known to be dead */
  alive?(): string[]
  /** The value, given the reports of those who promised. Asked again in a later attempt. Only called while no value can be decided. */
  choose(reports: Report[]): Uint8Array | Promise<Uint8Array>
  /** Fewer voters than a majority may decide. Two halves of a mesh can then decide differently; the result says `forced`. */
  quorum?: number
  /** Propose though this node is no voter. @default false */
  outsider?: boolean
  /** How long to wait for more promises after a quorum of them, ms. @default 300 */
  grace?: number
  /** When to give up, ms from now. @default never */
  deadline?: number
  signal?: AbortSignal
}

export interface ProposeResult extends Decision {
  /** What the voters reported to this node's attempt; empty when it learned another's decision. */
  reports: Report[]
  /** The value is the one that `choose` of this call gave. */
  mine: boolean
}

export interface LearnOptions {
  /** Ask until it is decided, instead of until a majority of the voters says that it knows of no decision. @default false */
  wait?: boolean
  /** When to give up, ms from now. @default never with `wait`, else 5000 */
  deadline?: number
  signal?: AbortSignal
}
