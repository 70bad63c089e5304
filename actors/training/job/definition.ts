import type { JobState as PublicState } from '../service-types.ts'
import type { EnrolRequest, Progress } from './records.ts'

/** What the job answers. */
export interface EnrolReply {
  /** The latest record it knows, encoded, when it is newer than the trainer's. */
  group?: Uint8Array
  /** Asynchronous jobs: the trainers that began together, once the job has begun. */
  founders?: string[]
  /** Asynchronous jobs: the checkpoint that founders begin from, when it is not where the job began. */
  checkpoint?: string
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
