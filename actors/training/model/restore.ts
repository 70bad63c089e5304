import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidParametersError } from '../../../common/index.ts'
import { stepsPerEpoch } from '../../../datasets/index.ts'
import { initialise } from '../../../models/index.ts'
import { createOptimizer, type OptimizerSpec } from '../optimizers/index.ts'
import { writeSafetensors } from '../trainer/safetensors.ts'
import type { OpenedModel } from './source.ts'

/** A snapshot of another program's that a checkpoint is to be made of. */
export interface SnapshotRequest {
  path: string
  /** Where the checkpoint is written. */
  folder: string
  optimizer: OptimizerSpec
  /** Of what the snapshot has no values for. */
  seed: number
  /** Samples of a step of all trainers, and of an epoch: they say where in the data the snapshot stands. */
  samples: number
  count: number
}

/** Whether a job's `resume` names a snapshot of another program's, and not a run of ours. */
export function isSnapshot(resume: string): boolean {
  return resume.endsWith('.solverstate')
}

/**
 * Writes the checkpoint that a snapshot stands for.
 *
 * @throws InvalidParametersError when it does not go with the model or the optimizer
 */
export async function writeRestored(request: SnapshotRequest, { training, restore }: OpenedModel): Promise<void> {
  const { path, folder, optimizer: spec, seed, samples, count } = request
  if (restore === undefined)
    throw new InvalidParametersError(`${path}: a snapshot of Caffe's goes with its net; give --solver or --model net.prototxt`)
  const state = await restore(path, {})
  const { layout, state: statistics } = training
  const optimizer = createOptimizer(spec, layout)
  const parts = optimizer.stateParts.filter(part => part.size === layout.total)
  if (parts.length > 0 && state.optimizer.length !== parts.length) {
    throw new InvalidParametersError(
      `${path}: it holds the state of another optimizer than ${spec.name}: ${state.optimizer.length} tensors a parameter, not ${parts.length}`
    )
  }
  if (spec.name === 'sgd' && spec.form !== 'caffe' && parts.length > 0) {
    throw new InvalidParametersError(`${path}: its momentum holds the rate; take --optimizer-form caffe`)
  }
  const arena = new Float32Array(optimizer.stateFloats)
  for (const [i, part] of parts.entries()) {
    for (const p of layout.parameters) arena.set(state.optimizer[i]!(p.name), part.offset + p.offset)
  }
  // The number of updates, where the optimizer counts them.
  for (const part of optimizer.stateParts) if (part.size === 1) arena[part.offset] = state.step

  const tensors = [layout, statistics].flatMap(of => {
    const values = new Float32Array(of.total)
    initialise(of, seed, values)
    return of.parameters.map(({ name, shape, offset, size }) => ({
      name,
      shape,
      data: state.value(name) ?? values.subarray(offset, offset + size)
    }))
  })
  await mkdir(folder, { recursive: true })
  await writeSafetensors(join(folder, 'state.safetensors'), [...tensors, { name: '@optimizer', shape: [arena.length], data: arena }])
  const perEpoch = stepsPerEpoch(count, samples)
  const progress = { step: state.step, epoch: Math.floor(state.step / perEpoch), position: (state.step % perEpoch) * samples }
  const manifest = { format: 'gradmesh-checkpoint/1', ...progress, parameters: layout.total }
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}
