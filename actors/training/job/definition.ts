import type { JobState as PublicState } from '../service-types.ts'
import type { GroupMember, Progress } from './records.ts'

/** A trainer's sign of life to its job. */
export interface EnrolRequest {
  member: GroupMember
  /** Generation the trainer is in; 0 before the first. */
  generation: number
  progress: Progress
  /** Data, model and engine are there. */
  ready: boolean
  /** Record of that generation, encoded: a fresh activation of the job learns the group from it. */
  group?: Uint8Array
}

/** What the job answers. */
export interface EnrolReply {
  /** The latest record it knows, encoded, when it is newer than the trainer's. */
  group?: Uint8Array
  /** Asynchronous jobs: the trainers that began together, once the job has begun. */
  founders?: string[]
  /** Asynchronous jobs: every live trainer. */
  peers?: { trainer: string; endpoints: string[] }[]
}

/** How a job stands, as its actor knows. */
export interface JobProgress {
  state: PublicState
  message: string
  generation: number
  members: { trainer: string; peer: string }[]
  progress: Progress
}

/** Calls of a job: one activation a mesh, on the first live node in rendezvous order; rebuilt elsewhere when that node dies. */
export type JobCalls = {
  enrol(request: EnrolRequest): EnrolReply
  /** A supervisor saw this trainer's process end. */
  gone(trainer: string): void
  /** The data or device behind this slot is not what the job needs. */
  unfit(request: { slot: string; reason: string }): void
  /** A channel inside this generation broke. */
  complain(generation: number): void
  status(argument: null): JobProgress
}
