import { rendezvousOrder } from '../../../common/index.ts'
import type { GroupMember, GroupRecord, JobRecord, Progress, VoterReport } from './records.ts'

/** Votes needed of `voters`: a majority of all of them, silent ones counted. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** Who votes on the generation after one with these members: the nodes that host them, topped up to three with other live members. */
export function votersOf(job: string, members: readonly { node: string }[], alive: readonly string[]): string[] {
  const voters = [...new Set(members.map(m => m.node))]
  for (const peer of rendezvousOrder(`${job}/voters`, alive)) {
    if (voters.length >= 3) break
    if (!voters.includes(peer)) voters.push(peer)
  }
  return voters.sort()
}

/** Whether losing one node of `voters` would leave no majority. */
export function oneLossPauses(voters: number): boolean {
  return voters - 1 < majority(voters)
}

/** Who evaluates: the first trainer in rendezvous order. */
export function evaluatorOf(job: string, trainers: readonly string[]): string | undefined {
  return rendezvousOrder(`${job}/evaluation`, trainers)[0]
}

function later(a: Progress, b: Progress): boolean {
  return a.step > b.step
}

/**
 * The record of the next generation from what the voters report: it resumes from the highest step that a member of it applied.
 * A step that was committed had been applied by every member of the old generation, so it is never lost while one of them is left.
 */
export function composeGroup(init: {
  job: JobRecord
  generation: number
  members: readonly GroupMember[]
  alive: readonly string[]
  reports: readonly VoterReport[]
  forced: boolean
  reason: string
  /** Trainers of generation 1; absent when this is it. */
  founders?: number
  /** Progress of the checkpoint to begin from when no member has a state. */
  start: Progress & { checkpoint?: string }
}): GroupRecord {
  const members = [...init.members].sort((a, b) => (a.trainer < b.trainer ? -1 : 1))
  const states = init.reports.flatMap(r => r.trainers).filter(t => t.initialised && members.some(m => m.trainer === t.trainer))
  let best: (typeof states)[number] | undefined
  for (const state of states) if (best === undefined || later(state.progress, best.progress)) best = state
  const from = states.filter(s => s.progress.step === best?.progress.step && s.hash === best.hash).map(s => s.trainer)
  return {
    job: init.job.job,
    generation: init.generation,
    members,
    voters: votersOf(init.job.job, members, init.alive),
    algorithm: init.job.spec.strategy,
    founders: init.founders ?? members.length,
    resume: best === undefined ? { ...init.start, hash: '', from: [] } : { ...best.progress, hash: best.hash, from: from.sort() },
    forced: init.forced,
    reason: init.reason
  }
}
