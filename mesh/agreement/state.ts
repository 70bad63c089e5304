import type { CancelTimer, Persist, Send, SetTimer, TimerEvent } from '../../common/index.ts'
import { hash32 } from '../../common/index.ts'
import type { Ballot } from './ballot.ts'

/** Why an acceptor refuses: a higher ballot is promised, the key is held for other voters, or there is no room for another key. */
export type RefuseReason = 'ballot' | 'voters' | 'full'

export type AgreementMessage = { key: string } & (
  | { kind: 'prepare'; ballot: Ballot; group: string }
  | { kind: 'promise'; ballot: Ballot; vote?: Vote; report: Uint8Array }
  | { kind: 'refuse'; ballot: Ballot; reason: RefuseReason; promised?: Ballot }
  | { kind: 'accept'; ballot: Ballot; group: string; value: Uint8Array }
  | { kind: 'accepted'; ballot: Ballot }
  | { kind: 'decided'; value: Uint8Array; forced: boolean }
  | { kind: 'query' }
  | { kind: 'undecided' }
)

/** A vote cast: the value accepted and under which ballot. */
export interface Vote {
  ballot: Ballot
  value: Uint8Array
}

export interface Decision {
  value: Uint8Array
  /** Fewer than a majority of the voters decided, because a caller said so. */
  forced: boolean
}

/** What an acceptor keeps of one key, and makes durable before it says so. */
export interface Register {
  /** Hash of the voters; a proposer that counts others is refused. */
  group: string
  promised?: Ballot
  vote?: Vote
  decision?: Decision
}

export interface Report {
  peer: string
  report: Uint8Array
}

export type AgreementEvent =
  | TimerEvent
  | { type: 'message'; from: string; message: AgreementMessage }
  | ({ type: 'propose'; id: string } & ProposalInit)
  | { type: 'learn'; id: string; key: string; voters: string[]; wait: boolean; deadline: number }
  /** The caller wants no more of this proposal or question. A value already sent may still be decided. */
  | { type: 'abort'; id: string }
  /** Answer to `view`: whom the caller takes for alive. */
  | { type: 'view'; id: string; alive: string[] }
  /** Answer to `choose`. */
  | { type: 'chosen'; id: string; ballot: Ballot; value: Uint8Array }
  /** Answer to `report`; undefined when the application could not say: then nothing is promised. */
  | { type: 'reported'; id: string; report: Uint8Array | undefined }
  | { type: 'persisted'; id: string }
  /** The disk refused: nothing that waited for it is said. */
  | { type: 'unpersisted'; id: string }
  | { type: 'forget'; key: string }

export interface ProposalInit {
  key: string
  voters: string[]
  learners: string[]
  /** Voters that must answer; a majority unless the caller forces fewer. */
  quorum: number
  /** How long to wait for further promises after a quorum of them, ms. */
  grace: number
  /** When to give up, ms from now; Infinity for never. */
  deadline: number
}

export type AgreementEffect =
  | Send<AgreementMessage>
  | SetTimer
  | CancelTimer
  | Persist<Register>
  /** The register may be erased from disk. */
  | { type: 'erase'; key: string }
  /** What does the application report for this key? It must not go on with what the key is to replace. */
  | { type: 'report'; id: string; key: string }
  /** Whom does the caller take for alive? */
  | { type: 'view'; id: string }
  /** No value was voted for yet: which shall it be? */
  | { type: 'choose'; id: string; ballot: Ballot; reports: Report[] }
  /** A key was decided, seen here for the first time. */
  | { type: 'decided'; key: string; decision: Decision }
  /** A proposal or question ended with a decision; `decision` is undefined when a question found none. */
  | { type: 'done'; id: string; decision: Decision | undefined; reports: Report[]; mine: boolean }
  | { type: 'failed'; id: string; reason: FailReason; missing: string[]; answered: string[] }
  /** Two decisions of one key: only a forced quorum can do that. The first one seen is kept. */
  | { type: 'conflict'; key: string; ours: Uint8Array; theirs: Uint8Array }

/** `voters` and `full`: so many voters refused the key that no quorum is left; they are the `missing`. */
export type FailReason = 'no-quorum' | 'deadline' | 'voters' | 'full'

export interface Attempt {
  ballot: Ballot
  phase: 'prepare' | 'grace' | 'choose' | 'accept'
  promises: Map<string, { report: Uint8Array; vote?: Vote }>
  accepted: Set<string>
  value?: Uint8Array
}

export interface Proposal extends ProposalInit {
  id: string
  group: string
  attempt?: Attempt
  attempts: number
  /** Highest round seen anywhere. */
  round: number
  chosen?: Uint8Array
  reports: Report[]
  /** Voters that will not take this key at all. */
  refused: Map<string, RefuseReason>
}

export interface Question {
  id: string
  key: string
  voters: string[]
  wait: boolean
  undecided: Set<string>
}

/** A prepare that waits for the application's report. */
export interface Reporting {
  id: string
  key: string
  from: string
  ballot: Ballot
  group: string
}

export interface AgreementState {
  self: string
  registers: Map<string, Register>
  proposals: Map<string, Proposal>
  questions: Map<string, Question>
  /** By key; at most one report a key is asked at a time, for the highest ballot. */
  reporting: Map<string, Reporting>
  /** Replies by the id of the persist they wait for. */
  waiting: Map<string, { to: string; message: AgreementMessage }>
  nextId: number
  /** Bytes of the values in `registers`. */
  held: number
  maxRegisters: number
  maxHeld: number
  /** Time between repetitions of an unanswered message, ms. */
  resend: number
  /** Shortest mean back-off after a refusal, ms; doubles with each, up to 16 times. */
  backoff: number
}

/** Hash of the voters of a key, whatever their order. */
export function groupOf(voters: string[]): string {
  const text = [...voters].sort().join('\n')
  return `${voters.length}-${hash32(text, 1).toString(16)}${hash32(text, 2).toString(16)}`
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

/** Forgets a proposal or question of this node. */
export function finish(s: AgreementState, id: string, out: AgreementEffect[]): void {
  const proposal = s.proposals.delete(id)
  const question = s.questions.delete(id)
  if (proposal) for (const timer of ['grace', 'backoff']) out.push({ type: 'cancelTimer', id: `${timer}:${id}` })
  if (proposal || question) for (const timer of ['resend', 'deadline']) out.push({ type: 'cancelTimer', id: `${timer}:${id}` })
}

/** More than half. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** Bytes of the values a register holds. */
export function heldBy(register: Register | undefined): number {
  return (register?.vote?.value.length ?? 0) + (register?.decision?.value.length ?? 0)
}
