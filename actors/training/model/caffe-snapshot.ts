import { basename } from 'node:path'
import { InvalidParametersError, NotFoundError } from '../../../common/index.ts'
import {
  type CaffeBlob,
  type CaffeModel,
  learnable,
  readSolverState,
  readWeights,
  useWeights,
  writeSolverState,
  writeWeights
} from '../../../models/index.ts'
import { type CaffeFiles, find, MAX_WEIGHTS, readBytes } from './caffe-files.ts'
import { modelFileName } from './file-name.ts'
import type { RestoredState, SnapshotFile, TrainedState } from './source.ts'

/**
 * A checkpoint as Caffe writes it: `PREFIX_iter_N.caffemodel` and `.solverstate`. The solver's history is the optimizer's state, a round of
 * all parameters for each of its parts: of SGD the momentum, of Adam the means and then the squares. Running statistics have none.
 */
export function snapshot({ train }: CaffeModel, { solver, net }: CaffeFiles, { step, value, optimizer }: TrainedState): SnapshotFile[] {
  const prefix = modelFileName(basename(solver?.snapshotPrefix ?? (net.string('name') || 'net')))
  const name = `${prefix}_iter_${step}`
  const shapeOf = (name: string) => (train.graph.parameters.get(name) ?? train.graph.states.get(name))!.shape
  const blob = (name: string): CaffeBlob => ({ shape: shapeOf(name), data: value(name) })
  const history = optimizer.flatMap(part =>
    learnable(train).map(name => {
      const shape = shapeOf(name)
      return { shape, data: part(name) ?? new Float32Array(shape.reduce((a, b) => a * b, 1)) }
    })
  )
  const passed = solver?.policy.policy === 'multistep' ? solver.policy.stepValues.filter(s => s <= step).length : 0
  return [
    { name: `${name}.caffemodel`, parts: writeWeights(net.string('name'), train, blob) },
    { name: `${name}.solverstate`, parts: writeSolverState({ iter: step, learnedNet: `${name}.caffemodel`, currentStep: passed, history }) }
  ]
}

/**
 * A `.solverstate` with the weights that it names, which lie beside it or where it says.
 *
 * @throws NotFoundError, InvalidParametersError, MalformedError naming the file
 */
export async function restore({ train }: CaffeModel, path: string, { signal }: { signal?: AbortSignal }): Promise<RestoredState> {
  const { iter, learnedNet, history } = readSolverState(await readBytes(path, MAX_WEIGHTS, signal), path)
  const weights = learnedNet === '' ? undefined : await find(learnedNet, path)
  if (weights === undefined) throw new NotFoundError(`${path}: the weights '${learnedNet}' that it names are not there; put them beside it`)
  useWeights(train, [train.graph], readWeights(await readBytes(weights, MAX_WEIGHTS, signal), weights), weights)
  const names = learnable(train)
  if (history.length % names.length !== 0) {
    throw new InvalidParametersError(`${path}: it holds ${history.length} tensors of history for a net of ${names.length} parameters`)
  }
  const tensor = (name: string) => train.graph.parameters.get(name) ?? train.graph.states.get(name)!
  const rounds = Array.from({ length: history.length / names.length }, (_, round) => {
    const part = new Map(names.map((name, i) => [name, history[round * names.length + i]!.data]))
    for (const [name, data] of part) {
      const size = tensor(name).shape.reduce((a, b) => a * b, 1)
      if (data.length !== size)
        throw new InvalidParametersError(`${path}: the history of '${name}' has ${data.length} values and needs ${size}`)
    }
    return (name: string) => part.get(name)!
  })
  const value = (name: string) => {
    const { filler } = tensor(name)
    return filler.type === 'given' ? filler.values : undefined
  }
  return { step: iter, value, optimizer: rounds }
}
