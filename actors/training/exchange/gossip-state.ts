import type { Env } from '../../../common/index.ts'
import type { Range } from './strategy.ts'
import { type GraphName, neighboursOf, roundsOf, type ScheduleName } from './topology.ts'

/** What tells one strategy of shares from another. */
export interface GossipRule {
  /** Staleness is discounted. */
  discount: boolean
  /** Of a share after a local step. */
  probability: number
  /** Among whom a share's receiver is drawn; `bandwidth`: among all, in proportion to how fast shares went there. */
  graph: GraphName | 'bandwidth'
  /** Push-sum: shares go to one trainer a round, in step with the others. */
  push?: { schedule: ScheduleName; every: number; overlap: boolean; patience: number }
}

/** A share given away of which this trainer does not know yet that it is merged. */
export interface PendingShare {
  share: number
  attempt: number
  to: string
  weight: number
  clock: number
  since: number
  /** The driver still holds the transfer. */
  sending: boolean
}

/** A share on its way here. */
export interface IncomingShare {
  share: number
  attempt: number
  weight: number
  clock: number
  /** The landing slot that was named for it; undefined while all are taken. */
  slot?: number
}

export interface GossipState {
  rule: GossipRule
  self: string
  job: string
  slots: number
  size: number
  generation: number
  /** Local steps applied. */
  step: number
  /** w: 0 before a joiner got its share, and after a leaver gave its own away. */
  weight: number
  /** a: Lamport clock, +1 a local step, the maximum on a merge. */
  clock: number
  phase: 'new' | 'joining' | 'training' | 'leaving' | 'left' | 'frozen'
  /** Live trainers but this one, sorted; the founders before the driver has said who lives. */
  neighbours: string[]
  informed: boolean
  nextShare: number
  pending?: PendingShare
  /** Shares whose weight was taken back: whoever claims to have merged one must give it up. */
  takenBack: Set<number>
  incoming: Map<string, IncomingShare>
  free: number[]
  /** Last merged share of each sender: one that is offered again is only acknowledged again. */
  merged: Map<string, number>
  /** Merged shares whose sender may still take them back; their weight counts here and is not given on while the sender seems to live. */
  unconfirmed: Map<string, { share: number; weight: number }>
  /** Weight to give up that was given on before its sender, back from the dead, had it taken back; paid as weight comes in. */
  debt: number
  /** Newcomers that asked for a share and wait for the one in flight. */
  joiners: Set<string>
  /** Neighbours that refused a leaver's weight. */
  refused: Set<string>
  /** Floats a millisecond of past shares, by receiver. */
  speeds: Map<string, number>
  /** Of push-sum; see gossip-rounds.ts. */
  rounds: RoundsOfPushSum
}

export interface RoundsOfPushSum {
  /** Number of the last share given in step with the others. */
  round: number
  /** `send`: a share is due; `answer`: it is given, and this round's has yet to come; the next computation waits. */
  waiting: 'send' | 'answer' | undefined
  /** Gradients came while waiting. */
  ready: { rate: number } | undefined
  /** Round of the last share merged, by sender; a trainer that was never heard of is not waited for. */
  heard: Map<string, number>
  /** Nobody's share of this round is waited for: who lives has changed in it. */
  waived: number
  /** The epochs are over: no round begins any more. */
  over: boolean
  /** Expected Σw over those that live. */
  total: number
}

export const parameters = ({ size }: GossipState): Range => ({ arena: 'parameters', offset: 0, length: size })
export const outgoing = ({ size }: GossipState): Range => ({ arena: 'outgoing', offset: 0, length: size })

/** Name of a transfer; with the sender's name no two trainers' shares are mixed up at a receiver. */
const idOf = (from: string, { share, attempt }: { share: number; attempt: number }) => `s${share}.${attempt}.${from}`
export const pendingId = (state: GossipState, pending: PendingShare) => idOf(state.self, pending)
export const landingId = (from: string, incoming: IncomingShare) => idOf(from, incoming)

/** Weight that may be given away: all but what a sender may still take back. */
export function givable({ weight, unconfirmed, neighbours }: GossipState): number {
  let locked = 0
  for (const name of neighbours) locked += unconfirmed.get(name)?.weight ?? 0
  return Math.max(0, weight - locked)
}

/** A trainer to give a share to. */
export function receiver(state: GossipState, env: Env): string | undefined {
  const { rule, neighbours, self, job, speeds } = state
  if (rule.graph === 'complete') return pick(neighbours, env)
  if (rule.graph !== 'bandwidth') return pick(neighboursOf(rule.graph, [...neighbours, self].sort(), self, job), env)
  // whoever was never tried counts as the fastest, so that everybody is
  const fastest = Math.max(1e-9, ...speeds.values())
  const weights = neighbours.map(name => Math.max(speeds.get(name) ?? fastest, fastest / 100))
  let left = env.random.float() * weights.reduce((sum, w) => sum + w, 0)
  const chosen = weights.findIndex(w => {
    left -= w
    return left < 0
  })
  return neighbours.at(chosen)
}

/** One of `names` at random, undefined where there is none. */
export function pick(names: readonly string[], env: Env): string | undefined {
  return names.length === 0 ? undefined : names[env.random.int(names.length)]
}

/** What a share says of its time: the round in which it is given, or the clock. */
export function clockOf({ rule, rounds, clock }: GossipState): number {
  return rule.push === undefined ? clock : rounds.round
}

/** A share of a later round, merged now, would be in this round's own share: it waits. */
export function tooEarly({ rule, rounds, phase }: GossipState, round: number): boolean {
  return rule.push !== undefined && phase === 'training' && !rounds.over && round > rounds.round
}

export function heardRound(state: GossipState, from: string, round: number): void {
  const { rounds, rule, neighbours } = state
  rounds.heard.set(from, Math.max(round, rounds.heard.get(from) ?? 0))
  // a newcomer, or one that was left behind, goes on where the others are
  const lead = roundsOf(rule.push!.schedule, neighbours.length + 1)
  if (state.phase === 'joining' || round > rounds.round + lead + 1) Object.assign(rounds, { round, waived: round })
}
