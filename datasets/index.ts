/**
 * @packageDocumentation
 *
 * Data sets: where samples come from, how files are read, in which order an epoch takes them, who takes which, and reading ahead. Files are
 * hostile until checked: sizes are compared before anything is allocated, and paths stay under the node's data roots.
 *
 * @example
 * import { createBatchReader, openDataset, sampleOrder, stepSlice } from './datasets/index.ts'
 *
 * const digits = await openDataset('digits?train=1000&test=100')
 * const order = sampleOrder(digits.train.count, 'job seed', 0)
 * const reader = createBatchReader(digits.train, digits.shape)
 * const { start, end } = stepSlice({ count: order.length, position: 0, world: 2, rank: 1, batch: 64 })
 * const batch = reader.read(order, start, end)
 * console.log(batch.labels.length, batch.data.length) // 64 50176
 */
export { type Batch, type BatchBuffers, type BatchReader, createBatchReader } from './batches.ts'
export { datasetNames, openDataset } from './open.ts'
export { MAX_SAMPLES, sampleOrder } from './order.ts'
export { shapes32Classes } from './shapes32.ts'
export { COLOUR_SCALE, GREY_SCALING, type Scaling } from './splits.ts'
export { epochRanges, type Positions, rangePositions, type StepQuery, type StepSlice, stepSlice, stepsPerEpoch } from './steps.ts'
export type { Dataset, Fingerprint, OpenOptions, Split } from './types.ts'
