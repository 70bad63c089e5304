import { InvalidParametersError } from '../../../common/index.ts'
import { parseLoss, parseModelName } from '../../../models/index.ts'
import type { JobSpec } from '../service-types.ts'
import { modelFileName } from './file-name.ts'
import { sourceOf } from './open.ts'
import type { ModelContext } from './source.ts'

/**
 * Says what can be said of a model before its data is known.
 *
 * @param spec - its model is a name, or a path on this machine
 * @throws InvalidParametersError, MalformedError naming the file and what is wrong in it
 */
export async function checkModel(spec: ModelContext['spec'], options: { signal?: AbortSignal } = {}): Promise<void> {
  if (spec.loss !== undefined) parseLoss(spec.loss)
  const source = sourceOf(spec.model)
  if (spec.weights !== undefined && source?.takesWeights !== true) {
    throw new InvalidParametersError(`--weights goes with a net of Caffe's (.prototxt); ${spec.model} has values of its own, or takes none`)
  }
  if (source === undefined) parseModelName(spec.model)
  else await source.collect(spec.model, modelFileName(spec.model), { ...options, ...weightsOf(spec) })
}

/** The file of values to begin with, where a job names one. */
export function weightsOf({ weights }: ModelContext['spec']): { weights?: string } {
  return weights === undefined ? {} : { weights }
}

/** What the file of a model says of how it is trained; nothing for a model of the zoo. @param model - a name, or a path on this machine */
export async function modelSettings(model: string, options: { signal?: AbortSignal } = {}): Promise<Partial<JobSpec>> {
  return (await sourceOf(model)?.settings?.(model, options)) ?? {}
}

/** What of a model's file is done otherwise than it says, one line each. @param model - a name, or a path on this machine */
export async function modelNotes(model: string, options: { signal?: AbortSignal } = {}): Promise<string[]> {
  return (await sourceOf(model)?.notes?.(model, options)) ?? []
}
