import type { Fingerprint, Scaling, Split } from '../../../datasets/index.ts'
import type { Graph, TrainingGraph } from '../../../models/index.ts'
import type { JobSpec } from '../service-types.ts'

/** What a model is opened for. */
export interface ModelContext {
  spec: Pick<JobSpec, 'model' | 'loss' | 'freeze' | 'weights'>
  /** What it is trained on. */
  data: Pick<Fingerprint, 'shape' | 'classes' | 'positions'> & {
    /** How its values were made from bytes. */
    scaling?: Scaling
    /** Its training samples, where the data is open. */
    train?: Split
  }
}

/** A model ready to be trained. */
export interface OpenedModel {
  /** Files of its own kind that go with a checkpoint. */
  snapshot?(state: TrainedState): SnapshotFile[]
  /**
   * Reads a snapshot of its own kind.
   *
   * @throws InvalidParametersError, MalformedError naming the file
   */
  restore?(path: string, options: { signal?: AbortSignal }): Promise<RestoredState>
  /** What `model.onnx` is written of when the run is over. */
  graph: Graph
  training: TrainingGraph
}

/** What a run has come to, for {@link OpenedModel.snapshot}. */
export interface TrainedState {
  step: number
  /** The tensor of a parameter or state. */
  value(name: string): Float32Array
  /** Parts of the optimizer's state that are as long as the parameters, in order: the part of a parameter; undefined of a state. */
  optimizer: ((name: string) => Float32Array | undefined)[]
}

/** What a snapshot holds, for {@link OpenedModel.restore}. */
export interface RestoredState {
  step: number
  /** Values of a parameter or state; undefined where the snapshot has none. */
  value(name: string): Float32Array | undefined
  /** Parts of an optimizer's state, each as long as the parameters: the part of a parameter. */
  optimizer: ((name: string) => Float32Array)[]
}

/** A file in parts that are written one behind the other. */
export interface SnapshotFile {
  name: string
  parts: Uint8Array[]
}

/** A file that travels with a job. */
export interface CarriedFile {
  /** Letters, digits, `_`, `.` and `-`; unique in its model. */
  name: string
  content: Uint8Array
}

/** One kind of file that names a model. */
export interface ModelSource {
  /** What such a file's name ends in: `.onnx`. */
  readonly ending: string
  /** Whether values to begin with may come in a file of their own. */
  readonly takesWeights?: boolean
  /**
   * Reads, on the submitter's machine, everything that the job needs of the model.
   *
   * @param path - of the file that the user named
   * @param name - what that file is called in the job; the first of the result
   * @param options.weights - path of a file of values to begin with, for sources that take one
   * @throws InvalidParametersError, MalformedError, TooLargeError naming the file
   */
  collect(path: string, name: string, options: { signal?: AbortSignal; weights?: string }): Promise<CarriedFile[]>
  /**
   * What the file says of how it is trained, where it can say that; what the user says goes before it.
   *
   * @param path - of the file that the user named
   */
  settings?(path: string, options: { signal?: AbortSignal }): Promise<Partial<JobSpec>>
  /** What of the file is done otherwise than it says, one line each, for the user. */
  notes?(path: string, options: { signal?: AbortSignal }): Promise<string[]>
  /**
   * Opens what {@link ModelSource.collect} gave, on any node.
   *
   * @param path - of the first file; the others lie beside it
   * @throws InvalidParametersError when the model does not fit the data or the loss
   */
  open(path: string, context: ModelContext, options: { signal?: AbortSignal }): Promise<OpenedModel>
}
