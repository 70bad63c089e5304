import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { JobSpec } from '../actors/training/service-types.ts'
import { InvalidParametersError } from '../common/index.ts'
import { optimizerOf, scheduleOf, type UpdateFlags } from './update.ts'

/** The flags of `mesh train` that describe the job, as the command line gives them. */
export interface JobFlags extends UpdateFlags {
  model?: string
  /** A solver of Caffe's, in place of a model. */
  solver?: string
  loss?: string
  freeze?: string[]
  weights?: string
  data?: string
  strategy?: string
  strategyOption?: Record<string, string | number | boolean>
  codec?: string
  aggregate?: string
  trainers?: number | 'all'
  epochs?: number
  steps?: number
  batch?: number
  globalBatch?: number
  lr?: number
  accumulate?: number
  seed?: number
  onSplit?: 'wait' | 'continue'
  wait?: boolean
  logEvery?: number
  scaleLr?: boolean
  checkpointEvery?: number
  evaluateEvery?: number
  name?: string
}

/** Where steps alone end a job. */
const MAX_EPOCHS = 1_000_000

/** What a flag is when neither the command line nor the run that is resumed says it. */
export const defaults = {
  strategy: 'allreduce',
  trainers: 'all',
  epochs: 3,
  batch: 32,
  lr: 0.01,
  seed: 1,
  onSplit: 'wait',
  wait: false,
  logEvery: 10,
  scaleLr: false
} as const satisfies Partial<JobSpec>

/**
 * The job that `flags` describe.
 *
 * @param earlier - the job whose run is resumed, or what the model's file says: it stands for every flag that is not given
 * @param cwd - what a relative folder in `data` starts from
 * @throws InvalidParametersError naming the flag that is missing or contradicts another
 */
export function jobSpec(flags: JobFlags, cwd: string, earlier?: Partial<JobSpec>): JobSpec {
  if (flags.batch !== undefined && flags.globalBatch !== undefined) {
    throw new InvalidParametersError('--batch is per trainer and --global-batch for all of them together: give one of the two')
  }
  if (flags.solver !== undefined && flags.model !== undefined) {
    throw new InvalidParametersError('--solver names its net itself: leave --model away, or give the net alone with --model')
  }
  const model = flags.solver ?? flags.model ?? earlier?.model
  const data = flags.data === undefined ? earlier?.data : absoluteData(flags.data, cwd)
  if (model === undefined) throw new InvalidParametersError('--model is missing; for example --model lenet')
  if (data === undefined) throw new InvalidParametersError('--data is missing; for example --data digits')
  const spec: JobSpec = {
    ...defaults,
    ...earlier,
    ...defined({
      strategy: flags.strategy,
      trainers: flags.trainers,
      epochs: flags.epochs ?? (flags.steps === undefined ? undefined : MAX_EPOCHS),
      steps: flags.steps,
      lr: flags.lr,
      accumulate: flags.accumulate,
      seed: flags.seed,
      onSplit: flags.onSplit,
      wait: flags.wait,
      logEvery: flags.logEvery,
      scaleLr: flags.scaleLr,
      checkpointEvery: flags.checkpointEvery,
      evaluateEvery: flags.evaluateEvery,
      name: flags.name,
      loss: flags.loss,
      freeze: flags.freeze,
      weights: flags.weights === undefined ? undefined : resolve(cwd, flags.weights)
    }),
    model,
    data,
    optimizer: optimizerOf(flags, earlier?.optimizer),
    schedule: scheduleOf(flags, earlier?.schedule)
  }
  // Epochs are said in place of the steps of a file, or of an earlier run.
  if (flags.epochs !== undefined && flags.steps === undefined) delete spec.steps
  // Options belong to the strategy they were given for.
  if (flags.strategy !== undefined && flags.strategy !== earlier?.strategy) delete spec.strategyOptions
  if (flags.strategyOption !== undefined) spec.strategyOptions = { ...spec.strategyOptions, ...flags.strategyOption }
  const both = defined({ codec: flags.codec, aggregate: flags.aggregate }) as Record<string, string>
  if (Object.keys(both).length > 0) spec.strategyOptions = { ...spec.strategyOptions, ...both }
  delete spec.resume
  if (flags.batch !== undefined) {
    spec.batch = flags.batch
    delete spec.globalBatch
  } else if (flags.globalBatch !== undefined || spec.globalBatch !== undefined) {
    spec.globalBatch = flags.globalBatch ?? (spec.globalBatch as number)
    delete spec.batch
  }
  if (spec.scaleLr && spec.globalBatch !== undefined) {
    throw new InvalidParametersError('--scale-lr follows the total batch as the group changes; with --global-batch that never changes')
  }
  return spec
}

/**
 * `data` with a folder relative to `cwd` made absolute, because the node that opens it was started elsewhere. One that is not there
 * stays: it may lie under one of the node's data roots.
 */
function absoluteData(data: string, cwd: string): string {
  const [, name, path, query = ''] = /^(\w+):([^?]+)(\?.*)?$/s.exec(data) ?? []
  if (path === undefined || path.includes('\0')) return data
  const absolute = resolve(cwd, path)
  return existsSync(absolute) ? `${name}:${absolute}${query}` : data
}

function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
