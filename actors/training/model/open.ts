import { join } from 'node:path'
import { modelNamed } from '../../../models/index.ts'
import { modelFileName } from './file-name.ts'
import type { ModelContext, ModelSource, OpenedModel } from './source.ts'
import { sources } from './sources.ts'
import { trainable } from './trainable.ts'

/** The kind of file that a model's name ends in; undefined for a model of the zoo. */
export function sourceOf(model: string): ModelSource | undefined {
  const end = model.toLowerCase()
  return sources.find(s => end.endsWith(s.ending))
}

/**
 * Opens what a job trains.
 *
 * @param folder - where the files lie that the job carries
 * @throws InvalidParametersError, MalformedError naming what is wrong
 */
export async function openModel(context: ModelContext, folder: string, options: { signal?: AbortSignal } = {}): Promise<OpenedModel> {
  const { spec, data } = context
  const source = sourceOf(spec.model)
  if (source === undefined) return trainable(modelNamed(spec.model, data), context, spec.model)
  return await source.open(join(folder, modelFileName(spec.model)), context, options)
}
