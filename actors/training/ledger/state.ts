import type { CancelTimer, SetTimer } from '../../../common/index.ts'
import { createLedger, type Ledger, type LedgerSpec } from './ledger.ts'
import type { Claim } from './messages.ts'
import { type Ownership, ownership } from './ownership.ts'

/**
 * - `start`: the job begins here, once. A trainer that joins a running job learns the ledger before it takes a range
 * - `peers`: who of the job's trainers lives, with or without this one
 * - `trained`: the range that `train` named is trained and applied
 * - `leave`: this trainer stops; what it was at is free for others
 */
export type LedgerEvent =
  | { type: 'start'; alive: string[]; joining: boolean }
  | { type: 'peers'; alive: string[] }
  | { type: 'trained'; epoch: number; range: number }
  | { type: 'message'; from: string; body: Uint8Array }
  | { type: 'timer'; id: string }
  | { type: 'leave' }

/**
 * - `train`: train the samples at positions [start, end) of the epoch's order, then say `trained`; one at a time
 * - `complete`: every range of the epoch is known to be committed; once an epoch, ascending
 * - `finished`: so is every epoch; the core goes on answering others
 */
export type LedgerEffect =
  | { type: 'train'; epoch: number; range: number; start: number; end: number }
  | { type: 'complete'; epoch: number }
  | { type: 'finished' }
  | { type: 'message'; to: string; body: Uint8Array }
  | SetTimer
  | CancelTimer

export interface LedgerState {
  readonly self: string
  readonly ledger: Ledger
  phase: 'new' | 'joining' | 'running' | 'left'
  alive: string[]
  /** Newcomers that said hello before the membership named them, with the time until which that counts. */
  introduced: Map<string, number>
  ownership: Ownership
  seq: number
  /** What this trainer is at. */
  current?: { epoch: number; range: number }
  /** What was committed last, by anyone, as news came in; newest last. */
  recent: { epoch: number; range: number }[]
  /** Newest claim of each trainer of the view. */
  claims: Map<string, Claim>
  /** Own ranges given to others, by epoch and range: until committed, or the taker is seen at something else, or gone. */
  grants: Map<string, { epoch: number; range: number; to: string; number: number }>
  /** The question that waits for an answer. */
  asked?: { owner: string; epoch: number; number: number }
  /** Owners that had nothing to give, and until when they are not asked again. */
  denied: Map<string, number>
  /** A joiner: who has not welcomed it, and how often it asked. */
  unwelcomed: Set<string>
  informed: boolean
  hellos: number
  /** Epochs reported complete. */
  reported: number
  finished: boolean
}

/** A ledger core for trainer `self`; `ledger` from a checkpoint, or empty. @throws InvalidParametersError, TooLargeError */
export function createLedgerCore(self: string, spec: LedgerSpec, ledger: Ledger = createLedger(spec)): LedgerState {
  return {
    self,
    ledger,
    phase: 'new',
    alive: [],
    introduced: new Map(),
    ownership: ownership([self]),
    seq: 0,
    recent: [],
    claims: new Map(),
    grants: new Map(),
    denied: new Map(),
    unwelcomed: new Set(),
    informed: false,
    hellos: 0,
    reported: 0,
    finished: false
  }
}
