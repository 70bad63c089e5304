/**
 * @packageDocumentation
 *
 * Models: ONNX graphs in memory (loaded from a file, built layer by layer, or out of the zoo), automatic differentiation into training
 * graphs that onnxruntime runs, and export.
 *
 * @example
 * import { buildModel, exportModel, initialise, trainingGraph } from './models/index.ts'
 * const graph = buildModel('lenet', { shape: [1, 28, 28], classes: 10 })
 * const training = trainingGraph(graph)
 * const arena = new Float32Array(training.layout.total)
 * initialise(training.layout, 1, arena)
 * // feed training.train to onnxruntime: data, labels and views of the arena in; lossSum and gradients out
 * const file = exportModel(graph, training.layout, arena)
 */

export {
  type CaffeBlob,
  type CaffeData,
  type CaffeInput,
  type CaffeModel,
  type CaffeModelOptions,
  type CaffeNet,
  type CaffeSolver,
  caffeData,
  caffeModel,
  declaredShape,
  isSolver,
  learnable,
  type NetReference,
  netOf,
  parseNet,
  parseSolver,
  printText,
  readSolverState,
  readWeights,
  type SolverState,
  useWeights,
  writeSolverState,
  writeWeights
} from './caffe/index.ts'
export * from './description/index.ts'
export { exportModel } from './export.ts'
export { freezeParameters } from './freeze.ts'
export type {
  DataType,
  Dim,
  Filler,
  Graph,
  GraphNode,
  Parameter,
  ParameterInfo,
  ParameterLayout,
  Tensor,
  ValueType
} from './graph/types.ts'
export { type LossName, lossNames, parseLoss } from './losses/index.ts'
export { type OpenOptions, openOnnx, packOnnx } from './onnx/file.ts'
export { type LoadOptions, loadOnnx } from './onnx/load.ts'
export { initialise, parameterLayout, stateLayout } from './parameters.ts'
export { type ModelSummary, type SummaryRow, summarise } from './summary.ts'
export type { TrainingGraph, TrainingOptions } from './training.ts'
export { trainingGraph } from './training.ts'
export type { MlpOptions, ModelName, ZooInput } from './zoo/index.ts'
export { buildModel, describeModel, modelInput, modelNames } from './zoo/index.ts'
export { modelNamed, parseModelName } from './zoo/name.ts'
