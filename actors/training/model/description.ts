import { basename } from 'node:path'
import { type Description, openDescription } from '../../../models/index.ts'
import { type OptimizerSpec, parseOptimizer, usual } from '../optimizers/index.ts'
import type { JobSpec } from '../service-types.ts'
import type { ModelSource } from './source.ts'
import { trainable } from './trainable.ts'

/** The job that a description asks for. */
function jobOf({ seed, training = {} }: Description): Partial<JobSpec> {
  const { updater, schedule, loss, batch, epochs, strategy } = training
  const said: Partial<JobSpec> = {
    seed,
    loss,
    batch,
    epochs,
    strategy,
    schedule,
    lr: updater?.lr,
    optimizer: optimizerOf(training)
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

function optimizerOf({ updater, l2, l1, clipNorm }: NonNullable<Description['training']>): OptimizerSpec | undefined {
  const { type = 'sgd', lr: _, ...settings } = updater ?? {}
  const decay = {
    ...(l2 === undefined ? {} : { weightDecay: l2 }),
    ...(l1 === undefined ? {} : { l1 }),
    ...(clipNorm === undefined ? {} : { clipNorm })
  }
  if (updater === undefined && Object.keys(decay).length === 0) return undefined
  return parseOptimizer({ ...usual(type), ...settings, ...decay })
}

function source(ending: string): ModelSource {
  return {
    ending,
    async collect(path, name, options) {
      const { text } = await openDescription(path, options)
      return [{ name, content: new TextEncoder().encode(text) }]
    },
    async settings(path, options) {
      return jobOf(await openDescription(path, options))
    },
    async open(path, context, options) {
      const { build } = await openDescription(path, options)
      const { shape, classes } = context.data
      return trainable(build({ shape, classes }), context, basename(path))
    }
  }
}

/** Descriptions, by the endings that they have. */
export const descriptionSources: readonly ModelSource[] = ['.yaml', '.yml', '.json'].map(source)
