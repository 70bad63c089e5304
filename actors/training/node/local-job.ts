import { join } from 'node:path'
import { decode } from 'cborg'
import { z } from 'zod'
import type { ProcessHost } from '../../runtime/index.ts'
import type { JobActor } from '../job/job-actor.ts'
import type { Block, GroupRecord, JobRecord } from '../job/records.ts'
import type { JobEvent } from '../service-types.ts'
import { Journal } from './journal.ts'

/** How a job ended; replicated as the record `job-control` under `JOB/result`. */
export const jobResultSchema = z.object({
  state: z.enum(['done', 'failed', 'stopped']),
  message: z.string().max(4096),
  step: z.number(),
  samples: z.number(),
  accuracy: z.number().optional(),
  loss: z.number().optional(),
  /** Name of the checkpoint a stopped job can go on from. */
  checkpoint: z.string().max(256).optional(),
  /** Milliseconds since 1970. */
  finished: z.number()
})

export type JobResult = z.infer<typeof jobResultSchema>

/** One trainer process of this node. */
export interface LocalTrainer {
  slot: string
  device: string
  /** Peer id, once the process has one. */
  trainer: string | undefined
  host: ProcessHost
}

/** One job as this node knows it. */
export class LocalJob {
  readonly record: JobRecord
  readonly journal: Journal
  /** Where its files lie. */
  readonly folder: string
  readonly trainers = new Map<string, LocalTrainer>()
  /** Files this node holds and offers. */
  readonly files = new Map<string, Block>()
  /** Latest figures that went through this node, for `mesh jobs`. */
  readonly latest: { loss?: number; accuracy?: number; samples: number; speed: Map<string, { rate: number; time: number }> } = {
    samples: 0,
    speed: new Map()
  }
  group: GroupRecord | undefined
  result: JobResult | undefined
  stopping = false
  actor: JobActor | undefined
  /** Whether the end of a job that was asked to stop is being brought about here. */
  ending = false

  constructor(record: JobRecord, jobsFolder: string) {
    this.record = record
    this.folder = join(jobsFolder, record.job)
    this.journal = new Journal(join(this.folder, 'events.jsonl'))
  }

  add(event: JobEvent): void {
    if (event.type === 'metrics') {
      this.latest.loss = event.loss
      this.latest.samples = Math.max(this.latest.samples, event.samples)
      this.latest.speed.set(event.trainer, { rate: event.samplesPerSecond, time: event.time })
    } else if (event.type === 'evaluation' && event.accuracy !== undefined) this.latest.accuracy = event.accuracy
    this.journal.add(event)
  }

  trainerNamed(trainer: string): LocalTrainer | undefined {
    for (const local of this.trainers.values()) if (local.trainer === trainer) return local
    return undefined
  }
}

/** What a peer's record holds, for a schema to check; undefined when it is no CBOR. */
export function decodeOrUndefined(payload: Uint8Array): unknown {
  try {
    return decode(payload)
  } catch {
    return undefined
  }
}
