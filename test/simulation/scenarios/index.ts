import type { Scenario } from '../scenario.ts'
import { duellingProposers } from './agreement.ts'
import { callsUnderFaults } from './calls.ts'
import { ownersUnderFaults } from './fenced.ts'
import { busyForLong, healing, oneGoes } from './membership.ts'

/** Every scenario, with its share of the seeds of a run. */
export const scenarios: { scenario: Scenario; share: number }[] = [
  { scenario: duellingProposers(), share: 0.3 },
  { scenario: callsUnderFaults(), share: 0.15 },
  { scenario: ownersUnderFaults(), share: 0.15 },
  { scenario: healing(), share: 0.2 },
  { scenario: oneGoes(), share: 0.19 },
  { scenario: busyForLong(), share: 0.01 }
]
