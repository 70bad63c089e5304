/**
 * What a job trains: a model of the zoo by its name, or a file that travels with the job, so that any node can train it and the process
 * that submitted it may end. A kind of file is a {@link ModelSource} in the table of `sources.ts`; everything else follows from there.
 *
 * @example
 * const { folder, names } = { folder: 'state/jobs/0a1b/model', names: await prepareModel(context, 'state/jobs/0a1b/model') }
 * const { graph, training } = await openModel(context, folder)
 */
export { checkModel, modelNotes, modelSettings } from './check.ts'
export { modelFileName } from './file-name.ts'
export { type GraphLabels, labelsFor, type WriteLabels } from './labels.ts'
export { openModel, sourceOf } from './open.ts'
export { prepareModel } from './prepare.ts'
export { isSnapshot, type SnapshotRequest } from './restore.ts'
export type { CarriedFile, ModelContext, ModelSource, OpenedModel, SnapshotFile, TrainedState } from './source.ts'
export { trainable } from './trainable.ts'
