import { hash32, InvalidParametersError } from '../../common/index.ts'
import { describe } from '../graph/attributes.ts'
import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { elementAt, int64s } from '../graph/tensors.ts'
import { type Lowering, SAMPLES } from './index.ts'

/** Largest prime below 2²⁶: products of two residues are exact in int64 and in float64. */
const PRIME = 67108859

/**
 * Dropout (Srivastava 2014), scaled in training. Which elements fall is a function of the sample's own number (fed as `samples`), the
 * node and the element: not of the batch that the sample is in, nor of the trainer that it is on.
 */
export const lowerDropout: Lowering = ({ e }, node, count) => {
  const { graph } = e
  const [x, given] = node.inputs
  const constant = (given ?? '') === '' ? undefined : graph.constants.get(given)
  if ((given ?? '') !== '' && constant === undefined) {
    throw new InvalidParametersError(`node ${describe(node)}: its ratio must be a constant`)
  }
  const ratio = constant === undefined ? 0.5 : elementAt(constant, 0)
  if (!(ratio >= 0 && ratio < 1)) throw new InvalidParametersError(`node ${describe(node)}: its ratio must be in [0, 1), not ${ratio}`)
  const shape = e.shape(x)
  const each = shape.slice(1)
  if (!isStatic(each)) throw new InvalidParametersError(`node ${describe(node)}: dropout needs a known size of [${shape.join(', ')}]`)
  if ((node.outputs[1] ?? '') !== '') throw new InvalidParametersError(`node ${describe(node)}: the mask of a dropout cannot be used`)
  if (ratio === 0) {
    e.op('Identity', [x], {}, node.outputs[0])
    return true
  }
  if (!graph.types.has(SAMPLES)) {
    graph.inputs.push(SAMPLES)
    graph.types.set(SAMPLES, { type: 'int32', shape: [shape[0]] })
  }
  const kept = e.op('GreaterOrEqual', [residues(e, each, count), e.int(Math.round(ratio * PRIME))])
  const scale = e.op('Where', [kept, e.scalar(1 / (1 - ratio)), e.scalar(0)])
  e.op('Mul', [x, scale], {}, node.outputs[0])
  return true
}

/** Numbers spread over [0, PRIME), one an element of each sample: squarings modulo a prime between additions. */
function residues(e: Emitter, each: number[], count: number): string {
  const n = each.reduce((a, b) => a * b, 1)
  const modulo = e.int(PRIME)
  const mod = (v: string) => e.op('Mod', [v, modulo])
  const round = (v: string, add: string) => mod(e.op('Add', [e.op('Mul', [v, v]), add]))
  const sample = e.op('Reshape', [e.op('Cast', [SAMPLES], { to: 7 }), e.ints([-1, 1])])
  const start = mod(e.op('Add', [e.op('Mul', [sample, e.int(48271)]), e.int(hash32(`dropout ${count}`) % PRIME)]))
  const own = round(round(start, e.int(12345)), sample)
  const places = e.constant(
    int64s(
      Array.from({ length: n }, (_, i) => (hash32(`${i}`, count) & 0x1ffffff) + 1),
      [1, n]
    )
  )
  const mixed = round(mod(e.op('Mul', [own, places])), places)
  return e.op('Reshape', [round(round(mixed, own), places), e.ints([-1, ...each])])
}
