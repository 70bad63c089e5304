import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { AbortedError, InvalidParametersError, TooLargeError } from '../../../common/index.ts'
import { type Description, type ParsedDescription, parseDescription } from '../../../models/index.ts'
import { type OptimizerSpec, parseOptimizer, usual } from '../optimizers/index.ts'
import type { JobSpec } from '../service-types.ts'
import type { ModelSource } from './source.ts'
import { trainable } from './trainable.ts'

/** Largest file of a description, bytes; the parser bounds it further. */
const MAX_FILE = 4 * 1024 * 1024

/**
 * A model described in YAML or JSON, from its file.
 *
 * @throws InvalidParametersError, MalformedError, TooLargeError naming file, line and column
 */
export async function readDescription(path: string, options: { signal?: AbortSignal } = {}): Promise<ParsedDescription & { text: string }> {
  let text: string
  try {
    const info = await stat(path)
    if (!info.isFile()) throw new InvalidParametersError(`${path} is no file`)
    if (info.size > MAX_FILE) throw new TooLargeError(`${path} has ${info.size} bytes; a model's description has at most ${MAX_FILE}`)
    text = await readFile(path, { encoding: 'utf8', ...options })
  } catch (error) {
    if (options.signal?.aborted) throw new AbortedError(`reading ${path} was aborted`, { cause: error })
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string') throw new InvalidParametersError(`${path} cannot be read (${code})`, { cause: error })
    throw error
  }
  return { ...parseDescription(text, path), text }
}

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
      const { text } = await readDescription(path, options)
      return [{ name, content: new TextEncoder().encode(text) }]
    },
    async settings(path, options) {
      return jobOf(await readDescription(path, options))
    },
    async open(path, context, options) {
      const { build } = await readDescription(path, options)
      const { shape, classes } = context.data
      return trainable(build({ shape, classes }), context, basename(path))
    }
  }
}

/** Descriptions, by the endings that they have. */
export const descriptionSources: readonly ModelSource[] = ['.yaml', '.yml', '.json'].map(source)
