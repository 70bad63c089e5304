import type { Env } from '../../../common/index.ts'
import type { Range } from './strategy.ts'

/** A share given away of which this trainer does not know yet that it is merged. */
export interface PendingShare {
  share: number
  attempt: number
  to: string
  weight: number
  clock: number
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
  self: string
  slots: number
  discount: boolean
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

/** One of `names` at random, undefined where there is none. */
export function pick(names: readonly string[], env: Env): string | undefined {
  return names.length === 0 ? undefined : names[env.random.int(names.length)]
}
