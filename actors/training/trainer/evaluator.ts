import { actor, type Handlers } from '../../runtime/index.ts'
import type { Evaluation } from './definition.ts'
import type { TrainingRun } from './run.ts'

/** Calls of an evaluator. */
export type EvaluatorCalls = {
  /** Scores parameters on the whole test split; they are copied before anything is awaited. */
  evaluate(parameters: Float32Array): Evaluation
  /** Writes `model.onnx`. @returns its name below the job's folder */
  exportModel(request: { parameters: Float32Array; evaluation: Evaluation }): string
}

/**
 * The evaluator of a job: an actor that lives in the process of the first live trainer in rendezvous order on (job, evaluation),
 * because that one has data, model and engine at hand. One evaluation at a time.
 */
export function evaluatorOn(run: TrainingRun) {
  return actor<TrainingRun, Handlers<TrainingRun, EvaluatorCalls>>('evaluator', {
    create: () => run,
    mailbox: 16,
    calls: {
      evaluate: ({ state, signal }, parameters) => state.evaluate(parameters, signal),
      exportModel: ({ state }, { parameters, evaluation }) => state.exportModel(parameters, evaluation)
    }
  })
}
