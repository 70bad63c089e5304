import { basename } from 'node:path'
import { type CaffeBlob, type CaffeModel, learnable, writeSolverState, writeWeights } from '../../../models/index.ts'
import type { CaffeFiles } from './caffe-files.ts'
import { modelFileName } from './file-name.ts'
import type { SnapshotFile, TrainedState } from './source.ts'

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
