import * as dagCbor from '@ipld/dag-cbor'
import { z } from 'zod'
import { InvalidParametersError, MAX_TRAINERS, MalformedError } from '../../../common/index.ts'
import { parseOptimizer, parseSchedule } from '../optimizers/index.ts'
import type { JobSpec } from '../service-types.ts'

const name = z.string().min(1).max(256)
/** A job's id is also the name of its folder on every node. */
const jobId = z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/)
const positive = z.number().int().positive().max(Number.MAX_SAFE_INTEGER)
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** A value that another room's parser checks, with its words. */
function parsed<T>(parse: (value: unknown) => T) {
  return z.unknown().transform((value, context) => {
    try {
      return parse(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  })
}

/** What a job may ask for. Bounds are those of types; what a model or data set allows is checked when they are opened. */
export const jobSpecSchema = z.strictObject({
  model: z.string().min(1).max(4096),
  loss: name.optional(),
  weights: z.string().max(4096).optional(),
  freeze: z.array(z.string().min(1).max(1024)).max(64).optional(),
  data: z.string().min(1).max(4096),
  strategy: name,
  /** What the strategy's `create` takes. */
  strategyOptions: z
    .record(z.string().regex(/^[a-z][\w-]{0,63}$/), z.union([z.string().max(256), z.number(), z.boolean()]))
    .refine(options => Object.keys(options).length <= 32, 'at most 32 options')
    .optional(),
  trainers: z.union([positive.max(MAX_TRAINERS), z.literal('all')]),
  epochs: positive.max(1_000_000),
  steps: positive.optional(),
  batch: positive.max(1_000_000).optional(),
  globalBatch: positive.max(100_000_000).optional(),
  lr: z.number().positive(),
  accumulate: positive.max(65_536).optional(),
  optimizer: parsed(parseOptimizer),
  schedule: parsed(parseSchedule),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  onSplit: z.enum(['wait', 'continue']),
  wait: z.boolean(),
  logEvery: positive,
  scaleLr: z.boolean(),
  checkpointEvery: positive.optional(),
  evaluateEvery: positive.optional(),
  evaluateFirst: z.boolean().optional(),
  evaluateSamples: positive.optional(),
  resume: z.string().max(4096).optional(),
  name: z.string().max(64).optional()
})

/** @throws InvalidParametersError naming the first field that is wrong */
export function checkSpec(spec: unknown): JobSpec {
  const parsed = jobSpecSchema.safeParse(spec)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new InvalidParametersError(`job specification, ${issue.path.join('.') || 'fields'}: ${issue.message}`)
  }
  if ((parsed.data.batch === undefined) === (parsed.data.globalBatch === undefined)) {
    throw new InvalidParametersError('give exactly one of batch (per trainer) and globalBatch (all trainers together)')
  }
  return parsed.data
}

/** Samples of one step of one trainer, where a job says so. */
export function samplesAStep({ batch, accumulate = 1 }: JobSpec): number | undefined {
  return batch === undefined ? undefined : batch * accumulate
}

const fingerprintSchema = z.object({
  count,
  testCount: count,
  shape: z.array(positive).max(8),
  classes: positive,
  positions: positive.optional(),
  digest: z.string().max(128)
})

const progressSchema = z.object({ step: count, epoch: count, position: count })

/** Where a run stands: `step` updates applied, the next sample is number `position` of `epoch`'s order. */
export type Progress = z.infer<typeof progressSchema>

/** The progress a checkpoint's manifest names, or undefined when it names none. */
export function parseProgress(manifest: unknown): Progress | undefined {
  const parsed = progressSchema.safeParse(manifest)
  return parsed.success ? parsed.data : undefined
}

const blockSchema = z.object({ name, cid: name, bytes: count })

/** A file by its content. */
export type Block = z.infer<typeof blockSchema>

/** Files that one model may come in. */
const MAX_MODEL_FILES = 16

const jobRecordSchema = z.object({
  job: jobId,
  spec: jobSpecSchema,
  /** Milliseconds since 1970 by the submitter's clock. */
  submitted: count,
  submitter: name,
  /** Who votes on generation 1. */
  voters: z.array(name).min(1).max(MAX_TRAINERS),
  fingerprint: fingerprintSchema,
  /** Checkpoint to start from: its files, held by the submitter at first. */
  resume: z.array(blockSchema).max(8).optional(),
  /** Files of a model that is not of the zoo, held by the submitter at first; the specification names the first of them. */
  model: z.array(blockSchema).min(1).max(MAX_MODEL_FILES).optional()
})

/** A submitted job: immutable, signed by the submitting node, replicated on every node. */
export type JobRecord = z.infer<typeof jobRecordSchema>

const memberSchema = z.object({ trainer: name, node: name, slot: name, endpoints: z.array(z.string().max(512)).max(16) })

/** Addresses of a trainer that travel. */
export const MAX_ENDPOINTS = 16

/** One trainer of a group: its peer id, the node that supervises it, the device it holds, and where its bulk endpoint listens. */
export type GroupMember = z.infer<typeof memberSchema>

const groupRecordSchema = z.object({
  job: jobId,
  generation: positive,
  /** Sorted by trainer; rank = index. */
  members: z.array(memberSchema).min(1).max(MAX_TRAINERS),
  /** Who votes on the next generation. */
  voters: z.array(name).min(1).max(MAX_TRAINERS),
  algorithm: name,
  /** Trainers of the first generation; `--scale-lr` scales the rate by the present number over this one. */
  founders: positive,
  resume: progressSchema.extend({
    hash: z.string().max(64),
    /** Members whose state is that of `step`; empty: from the checkpoint, or from where the job began. */
    from: z.array(name).max(MAX_TRAINERS),
    /** Name of a checkpoint that this very job wrote. */
    checkpoint: z
      .string()
      .regex(/^\d{1,16}$/)
      .optional()
  }),
  /** Decided without a majority, as the user chose with `--on-split continue`. */
  forced: z.boolean(),
  reason: z.string().max(512)
})

/** What the voters decide for one generation of a synchronous job. */
export type GroupRecord = z.infer<typeof groupRecordSchema>

const reportSchema = z.object({
  trainers: z
    .array(z.object({ trainer: name, generation: count, initialised: z.boolean(), hash: z.string().max(64), progress: progressSchema }))
    .max(1024)
})

/** What a voter says with its promise: how far the trainers it froze had come. */
export type VoterReport = z.infer<typeof reportSchema>

function codec<T>(what: string, schema: z.ZodType<T>) {
  return {
    /** Checked like what is read: a record that nobody can decode must never be decided. @throws MalformedError */
    encode: (value: T): Uint8Array => dagCbor.encode(JSON.parse(JSON.stringify(check(what, schema, value)))),
    /** @throws MalformedError */
    decode(bytes: Uint8Array): T {
      let value: unknown
      try {
        value = dagCbor.decode(bytes)
      } catch {
        throw new MalformedError(`${what}: not dag-cbor`)
      }
      return check(what, schema, value)
    }
  }
}

function check<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new MalformedError(`${what}, ${issue.path.join('.')}: ${issue.message}`)
}

const enrolSchema = z.object({ member: memberSchema, generation: count, progress: progressSchema, ready: z.boolean() })

/** A trainer's sign of life to its job. */
export type EnrolRequest = z.infer<typeof enrolSchema>

/** @throws MalformedError */
export function checkEnrolment(value: unknown): EnrolRequest {
  return check('enrolment', enrolSchema, value)
}

export const jobRecord = codec('job record', jobRecordSchema)
export const groupRecord = codec('group record', groupRecordSchema)
export const voterReport = codec('voter report', reportSchema)

/** Register key of one generation. */
export function generationKey(job: string, generation: number): string {
  return `job/${job}/${generation}`
}

/** The parts of a register key, or undefined when it is no generation of a job. */
export function parseGenerationKey(key: string): { job: string; generation: number } | undefined {
  const match = /^job\/([^/]+)\/(\d+)$/.exec(key)
  return match === null ? undefined : { job: match[1]!, generation: Number(match[2]) }
}
