import type { Scenario } from '../scenario.ts'
import { duellingProposers } from './agreement.ts'
import { busyForLong, healing, oneGoes } from './membership.ts'

/** Every scenario, with its share of the seeds of a run. */
export const scenarios: { scenario: Scenario; share: number }[] = [
  { scenario: duellingProposers(), share: 0.5 },
  { scenario: healing(), share: 0.3 },
  { scenario: oneGoes(), share: 0.19 },
  { scenario: busyForLong(), share: 0.01 }
]
