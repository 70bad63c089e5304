import { moduleUrl, processActor } from '../../runtime/index.ts'
import type { Progress } from '../job/records.ts'
import type { EventLoopDelay, FabricChoice, JobEvent } from '../service-types.ts'

/** What a node hands to the process of a trainer. Plain data: it crosses a process channel. */
export interface TrainerInit {
  /** The job's record, encoded. */
  job: Uint8Array
  slot: string
  /** Execution provider of the device. */
  provider: string
  /** Folders that data URIs may lead into; any when absent. */
  dataRoots?: string[]
  /** Folder of this job's files on the node; the trainer writes below it. */
  folder: string
  /** Where the bulk endpoint listens, multiaddrs. */
  listen: string[]
  /** First and last port that bulk bytes may come in by. */
  bulkPorts?: [number, number]
  /** Ways that bulk bytes may take besides streams; all when absent. */
  fabrics?: FabricChoice[]
  /** Checkpoint files to begin from, paths on this node. */
  resume?: { state: string; manifest: string }
}

/** What a trainer tells a voter that froze it. */
export interface FrozenState {
  trainer: string
  /** Generation it had joined last; 0 before the first. */
  generation: number
  /** Whether parameters and progress hold a state of the run. */
  initialised: boolean
  hash: string
  progress: Progress
}

export interface TrainerState {
  trainer: string
  phase: string
  generation: number
  progress: Progress
  /** How many channels travel by which way. */
  channels: Record<string, number>
  eventLoopDelay: EventLoopDelay
}

/** Calls of a trainer. */
export type TrainerCalls = {
  /** A generation was decided; its record, encoded. Older ones are ignored. */
  group(record: Uint8Array): void
  /** Stop everything of generations below this one for good, and say how far it came. */
  freeze(generation: number): FrozenState
  /** Freeze and write a checkpoint; its name. */
  checkpoint(argument: null): { name: string; step: number }
  status(argument: null): TrainerState
}

/** One trainer holds one device; key: `job/node/device`. */
export const Trainer = processActor<TrainerCalls>('trainer', {
  process: moduleUrl(import.meta.url, './process'),
  // Its node alone freezes it, gives it groups and stops it: a member of the mesh may be wrong, or worse.
  remote: false,
  restart: { intensity: 5, window: 60_000, backoff: 100 }
})

/** What an evaluation found. */
export interface Evaluation {
  /** In [0, 1]; absent where the loss knows no hits. */
  accuracy?: number
  /** Mean over the test samples. */
  loss: number
}

/** What a trainer tells its node. */
export type TrainerNotice =
  | { type: 'events'; events: JobEvent[] }
  /** Files below the job's folder that are complete and may be fetched, by name. */
  | { type: 'files'; names: string[] }
  /** The run is over and its model written. */
  | { type: 'finished'; accuracy?: number; loss: number; samples: number; step: number }
  /** The trainer cannot work; `opening`: it never could, on this node. */
  | { type: 'failed'; message: string; opening: boolean }
