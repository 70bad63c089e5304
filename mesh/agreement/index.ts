/**
 * @packageDocumentation
 *
 * Agreement: one value for one key, once and for all, decided by a majority of that key's voters (single-decree Paxos, Lamport
 * 2001). The voters are named by the caller, who reads them from an earlier record. A voter reports to the proposer what its
 * application holds, so that the value can be chosen with that knowledge; promises and votes are on disk before they are said.
 *
 * @example
 * import { createRng, systemClock } from '../../common/index.ts'
 * import { createAgreement } from './index.ts'
 * const nodes = new Map()
 * const voters = ['a', 'b', 'c']
 * for (const self of voters) {
 *   const send = (to, bytes) => setImmediate(() => nodes.get(to)?.receive(self, bytes))
 *   const store = { load: () => [], persist: async () => {} }
 *   const ports = { clock: systemClock, random: createRng(self), send, store }
 *   nodes.set(self, await createAgreement({ self, ports, onReport: () => Buffer.from(`step 7 of ${self}`) }))
 * }
 * const { value, reports } = await nodes.get('a').propose('job-1/2', {
 *   voters,
 *   choose: reports => Buffer.from(reports.map(r => r.peer).join())
 * })
 * console.log(Buffer.from(value).toString(), reports.length) // a,b,c 3
 */
import { type Agreement, openAgreement } from './agreement.ts'
import type { AgreementOptions } from './options.ts'

export type { Agreement } from './agreement.ts'
export { MAX_AGREEMENT_MESSAGE, MAX_KEY_BYTES, MAX_REPORT_BYTES, MAX_VALUE_BYTES, MAX_VOTERS } from './limits.ts'
export type {
  AgreementOptions,
  AgreementPorts,
  LearnOptions,
  ProposeOptions,
  ProposeResult,
  RegisterStore,
  Reporter
} from './options.ts'
export { type Decision, majority, type Report } from './state.ts'

/** Protocol id of agreement messages; each is one length-prefixed frame of at most MAX_AGREEMENT_MESSAGE bytes. */
export const AGREEMENT_PROTOCOL = '/gradmesh/agreement/1.0.0'

/**
 * Registers with what earlier lives of this node stored.
 *
 * @throws VersionError or MalformedError when a stored register cannot be read
 */
export function createAgreement(options: AgreementOptions): Promise<Agreement> {
  return openAgreement(options)
}
