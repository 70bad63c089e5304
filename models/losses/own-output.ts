import { InvalidParametersError } from '../../common/index.ts'
import { sameShape } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { LossOutputs } from './index.ts'
import { hits } from './softmax-cross-entropy.ts'

/**
 * A value of the model itself as the loss. With as many elements as samples they are the samples' losses; a single number is the
 * batch's mean, as models that end in a loss have it.
 *
 * Hits are counted where the labels are integers, one a sample, and another output holds one score a class.
 *
 * @param name - of an output of the model
 * @param labels - the input that labels are fed to, [N, …]
 * @throws InvalidParametersError when the model has no such output, or it is no loss
 */
export function ownOutput(e: Emitter, name: string, labels: string): LossOutputs {
  const { graph } = e
  if (!graph.outputs.includes(name)) {
    throw new InvalidParametersError(`the model has no output '${name.slice(0, 100)}'; there are ${graph.outputs.slice(0, 8).join(', ')}`)
  }
  const { type, shape } = e.type(name)
  const batch = e.shape(labels)[0]
  const single = shape.every(d => d === 1)
  const each = shape.some(d => d === batch) && shape.every(d => d === 1 || d === batch) && shape.filter(d => d === batch).length === 1
  if (type !== 'float32' || !(single || each)) {
    throw new InvalidParametersError(
      `output '${name}' is ${type} [${shape.join(', ')}]; a loss is one float32 number, or one for each sample of the batch`
    )
  }
  const samples = e.op('Squeeze', [e.op('Shape', [labels], { start: 0, end: 1 }), e.ints([0])])
  const denominator = e.op('Cast', [samples], { to: 1 })
  const total = e.op('ReduceSum', [name], { keepdims: 0 })
  const lossSum = single ? e.op('Mul', [total, denominator]) : total
  return { lossSum, denominator, correct: scored(e, name, labels) }
}

function scored(e: Emitter, loss: string, labels: string): string | undefined {
  const given = e.type(labels)
  if ((given.type !== 'int32' && given.type !== 'int64') || given.shape.slice(1).some(d => d !== 1)) return undefined
  for (const output of e.graph.outputs) {
    const { type, shape } = e.type(output)
    const [batch, classes] = shape
    if (output === loss || type !== 'float32' || shape.length !== 2 || !sameShape([batch], [given.shape[0]])) continue
    if (typeof classes !== 'number' || classes < 2) continue
    const column = e.op('Cast', [e.op('Reshape', [labels, e.ints([-1, 1])])], { to: 6 })
    return hits(e, output, column, 1).correct
  }
  return undefined
}
