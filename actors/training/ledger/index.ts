/**
 * @packageDocumentation
 *
 * The sample ledger of asynchronous jobs: which ranges of an epoch are trained, by whom, and which range this trainer takes next.
 * Nobody keeps it: it is a grow-only set that spreads by gossip and is merged by union (design.md rule 7).
 *
 * @example
 * import { createLedgerCore, figures, ledgerStep } from './actors/training/ledger/index.ts'
 * import { createRng } from './common/index.ts'
 * const env = { now: 0, random: createRng(1) }
 * const state = createLedgerCore('trainer-a', { job: 'j', samples: 100, rangeSize: 64, epochs: 1 })
 * console.log(ledgerStep(state, { type: 'start', alive: [], joining: false }, env)) // … train epoch 0 range 0, positions 0 to 64
 * console.log(ledgerStep(state, { type: 'trained', epoch: 0, range: 0 }, env)) // train range 1, positions 64 to 100
 * console.log(ledgerStep(state, { type: 'trained', epoch: 0, range: 1 }, env)) // complete, finished
 * console.log(figures(state.ledger, 0)) // { committed: 100, duplicated: 0 }
 */
export { ledgerStep } from './core.ts'
export {
  bounds,
  commit,
  committedSamples,
  committers,
  createLedger,
  type EpochRecord,
  figures,
  isCommitted,
  isComplete,
  isFinished,
  type Ledger,
  type LedgerSpec
} from './ledger.ts'
export { encodeLedger, mergeLedger } from './sections.ts'
export { createLedgerCore, type LedgerEffect, type LedgerEvent, type LedgerState } from './state.ts'
