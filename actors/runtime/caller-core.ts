import type { CancelTimer, Env, SetTimer, TimerEvent } from '../../common/index.ts'

/** Calls of one caller to one actor that may be under way. */
export const MAX_LANE = 1024
/** Redirects followed without a pause: views that differ for longer need time, not haste. */
const MAX_HOPS = 6
/** First and longest pause before a call is sent again, ms. */
const PAUSE = 20
const MAX_PAUSE = 1000

/** Where a call was sent, and to which life of the actor. */
export interface Location {
  node: string
  /** Id of the activation that answered last from there; '' when none has. */
  activation: string
}

interface LaneCall {
  id: number
  sequence: number
  idempotent: boolean
  phase: 'queued' | 'sent'
  /** It was handed to the network before, and nobody knows what became of it. */
  again: boolean
  /** The activation that a copy may have reached; only that one can tell. */
  activation: string
}

/** All that goes from one caller to one actor: calls leave in order, and those that must be sent again go before later ones. */
interface Lane {
  calls: Map<number, LaneCall>
  /** Those that wait to be sent, in no order. */
  queue: LaneCall[]
  /** Tells this lane from an earlier one to the same actor, whose numbers began at 1, too. */
  generation: number
  sequence: number
  location: Location | undefined
  /** Nodes that would not take the actor, in the order of its placement. */
  choice: number
  /** One call came back unexecuted: nothing leaves until all that are out have come back. */
  recovering: boolean
  /** Waits before the next attempt. */
  pausing: boolean
  attempts: number
  hops: number
}

/** The callers of one node. Pure: placement, network and clock are the driver's. */
export interface CallerState {
  lanes: Map<string, Lane>
  laneOf: Map<number, string>
  generations: number
}

export type CallerEvent =
  | { type: 'call'; id: number; lane: string; idempotent: boolean }
  /** Executed, or refused for good; `location` tells who answered. */
  | { type: 'answered'; id: number; location?: Location }
  /** Not executed there: the actor lives at `node`, or where placement says now when absent. */
  | { type: 'redirected'; id: number; node?: string }
  /** The node may not or cannot take the actor: the next choice of its placement is asked. */
  | { type: 'refused'; id: number }
  /** Certainly not executed: it was not delivered. */
  | { type: 'undelivered'; id: number }
  /** Sent, and no answer can come any more. */
  | { type: 'lost'; id: number }
  /** The caller gave up, or the deadline passed. */
  | { type: 'ended'; id: number }
  | TimerEvent

export type CallerEffect =
  | {
      type: 'send'
      id: number
      /** Undefined: to the placement's choice number `choice`. */
      node: string | undefined
      choice: number
      generation: number
      sequence: number
      again: boolean
      activation: string
    }
  | { type: 'fail'; id: number; reason: 'overloaded' | 'unknown' }
  | SetTimer
  | CancelTimer

export function createCallers(): CallerState {
  return { lanes: new Map(), laneOf: new Map(), generations: 0 }
}

/** Whether nothing is under way in a lane, so that a call may take a shorter way without overtaking another. */
export function laneIsIdle(s: CallerState, lane: string): boolean {
  return (s.lanes.get(lane)?.calls.size ?? 0) === 0
}

/**
 * Carries calls to actors that move and to nodes that die: redirects are followed, what was not delivered is sent again, what may have
 * been executed is asked for again where the same activation can tell, and else ends as unknown.
 */
export function callerStep(s: CallerState, event: CallerEvent, env: Env): CallerEffect[] {
  const out: CallerEffect[] = []
  if (event.type === 'timer') {
    const lane = s.lanes.get(event.id)
    if (lane === undefined) return out
    lane.pausing = false
    flush(lane, out)
    return out
  }
  if (event.type === 'call') {
    const lane = open(s, event.lane)
    if (lane.calls.size >= MAX_LANE) return [{ type: 'fail', id: event.id, reason: 'overloaded' }]
    s.laneOf.set(event.id, event.lane)
    const { id, idempotent } = event
    const call: LaneCall = { id, sequence: ++lane.sequence, idempotent, phase: 'sent', again: false, activation: '' }
    lane.calls.set(id, call)
    queue(lane, call)
    flush(lane, out)
    return out
  }
  const name = s.laneOf.get(event.id)
  const lane = name === undefined ? undefined : s.lanes.get(name)
  const call = lane?.calls.get(event.id)
  if (name === undefined || lane === undefined || call === undefined) return out
  switch (event.type) {
    case 'answered':
      if (event.location !== undefined) {
        lane.location = event.location
        lane.attempts = 0
        lane.hops = 0
        lane.choice = 0
      }
      end(s, lane, call)
      break
    case 'ended':
      end(s, lane, call)
      break
    case 'redirected':
      if (call.phase !== 'sent') break
      queue(lane, call)
      lane.recovering = true
      lane.location = event.node === undefined ? undefined : { node: event.node, activation: '' }
      lane.hops++
      if (event.node === undefined || lane.hops > MAX_HOPS) pause(name, lane, env, out)
      break
    case 'refused':
      if (call.phase !== 'sent') break
      queue(lane, call)
      lane.recovering = true
      lane.location = undefined
      lane.choice++
      break
    case 'undelivered':
      if (call.phase !== 'sent') break
      queue(lane, call)
      lane.recovering = true
      lane.location = undefined
      pause(name, lane, env, out)
      break
    case 'lost':
      if (call.phase !== 'sent') break
      lane.recovering = true
      if (call.idempotent) {
        // As a new call: whoever takes it may execute it once more.
        call.sequence = ++lane.sequence
        queue(lane, call)
        lane.location = undefined
        pause(name, lane, env, out)
      } else if (call.activation !== '') {
        call.again = true
        queue(lane, call)
        pause(name, lane, env, out)
      } else {
        out.push({ type: 'fail', id: call.id, reason: 'unknown' })
        lane.location = undefined
        end(s, lane, call)
      }
      break
  }
  flush(lane, out)
  if (lane.calls.size === 0 && !lane.pausing) lane.recovering = false
  return out
}

/** Actors that one node has called and remembers the way to. */
const MAX_LANES = 20_000

function open(s: CallerState, name: string): Lane {
  const known = s.lanes.get(name)
  if (known !== undefined) return known
  if (s.lanes.size >= MAX_LANES) forgetIdle(s)
  const lane: Lane = {
    calls: new Map(),
    queue: [],
    generation: ++s.generations,
    sequence: 0,
    location: undefined,
    choice: 0,
    recovering: false,
    pausing: false,
    attempts: 0,
    hops: 0
  }
  s.lanes.set(name, lane)
  return lane
}

/** Makes room: half of the lanes, those not used for longest first. */
function forgetIdle(s: CallerState): void {
  let spare = MAX_LANES / 2
  for (const [name, lane] of s.lanes) {
    if (lane.calls.size > 0 || lane.pausing) continue
    s.lanes.delete(name)
    if (--spare <= 0) return
  }
}

function queue(lane: Lane, call: LaneCall): void {
  call.phase = 'queued'
  lane.queue.push(call)
}

function end(s: CallerState, lane: Lane, call: LaneCall): void {
  lane.calls.delete(call.id)
  s.laneOf.delete(call.id)
  // Whoever was full may have room for the next.
  if (lane.calls.size === 0) lane.choice = 0
}

/** Waits before the lane's next attempt, longer each time. */
function pause(name: string, lane: Lane, env: Env, out: CallerEffect[]): void {
  if (lane.pausing) return
  lane.pausing = true
  lane.hops = 0
  const delay = Math.min(MAX_PAUSE, PAUSE * 2 ** Math.min(lane.attempts++, 10))
  out.push({ type: 'setTimer', id: name, delay: delay * (0.5 + env.random.float() / 2) })
}

function flush(lane: Lane, out: CallerEffect[]): void {
  if (lane.pausing) return
  if (lane.recovering) {
    for (const call of lane.calls.values()) if (call.phase === 'sent') return
    lane.recovering = false
  }
  if (lane.queue.length > 1) lane.queue.sort((a, b) => a.sequence - b.sequence)
  for (const call of lane.queue) {
    if (!lane.calls.has(call.id)) continue
    call.phase = 'sent'
    if (!call.again) call.activation = lane.location?.activation ?? ''
    const { id, sequence, again, activation } = call
    const { location, choice, generation } = lane
    out.push({ type: 'send', id, node: location?.node, choice, generation, sequence, again, activation })
  }
  lane.queue.length = 0
}
