import { InvalidParametersError } from '../../common/index.ts'
import { describe, floatAttribute, has, intAttribute, stringAttribute } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import type { GraphNode } from '../graph/types.ts'
import type { Lowering } from './index.ts'

/*
 * Recurrent layers, unrolled over a sequence of known length: LSTM (Hochreiter & Schmidhuber 1997 with forget gates, Gers 1999) and GRU
 * (Cho 2014), in ONNX's order of gates. The products with the inputs are made for all steps at once.
 */

interface Cell {
  /** Gates a unit. */
  gates: number
  /** One step: from the gates' inputs of step t and the states before to the states after. */
  step: (e: Emitter, input: string, states: string[], direction: Direction) => string[]
}

interface Direction {
  /** [hidden, gates·hidden] */
  recurrent: string
  /** [gates·hidden], or undefined */
  bias: string | undefined
  hidden: number
  /** GRU: the reset gate acts after the product. */
  resetAfter: boolean
}

function parts(e: Emitter, x: string, count: number, size: number): string[] {
  return e.ops('Split', [x, e.ints(new Array(count).fill(size))], { axis: -1 }, count)
}

const lstm: Cell = {
  gates: 4,
  step: (e, input, [h, c], { recurrent, hidden, bias }) => {
    let all = e.op('Add', [input, e.op('MatMul', [h, recurrent])])
    if (bias !== undefined) all = e.op('Add', [all, bias])
    const [i, o, f, g] = parts(e, all, 4, hidden)
    const kept = e.op('Mul', [e.op('Sigmoid', [f]), c])
    const cell = e.op('Add', [kept, e.op('Mul', [e.op('Sigmoid', [i]), e.op('Tanh', [g])])])
    return [e.op('Mul', [e.op('Sigmoid', [o]), e.op('Tanh', [cell])]), cell]
  }
}

const gru: Cell = {
  gates: 3,
  step: (e, input, [h], { recurrent, hidden, bias, resetAfter }) => {
    const [wz, wr, wh] = parts(e, input, 3, hidden)
    const [rz, rr, rh] = parts(e, recurrent, 3, hidden)
    const [bz, br, bh] = bias === undefined ? [] : parts(e, bias, 3, hidden)
    const plus = (x: string, b: string | undefined) => (b === undefined ? x : e.op('Add', [x, b]))
    const gate = (w: string, r: string, b: string | undefined) => e.op('Sigmoid', [plus(e.op('Add', [w, e.op('MatMul', [h, r])]), b)])
    const z = gate(wz, rz, bz)
    const r = gate(wr, rr, br)
    const inner = resetAfter ? e.op('Mul', [r, plus(e.op('MatMul', [h, rh]), bh)]) : plus(e.op('MatMul', [e.op('Mul', [r, h]), rh]), bh)
    const candidate = e.op('Tanh', [e.op('Add', [wh, inner])])
    return [e.op('Add', [e.op('Mul', [e.op('Sub', [e.scalar(1), z]), candidate]), e.op('Mul', [z, h])])]
  }
}

function check(node: GraphNode, e: Emitter, states: number): { steps: number; hidden: number } {
  const refuse = (why: string): never => {
    throw new InvalidParametersError(`node ${describe(node)}: ${why}`)
  }
  const steps = e.shape(node.inputs[0])[0]
  const hidden = e.shape(node.inputs[2])[2]
  if (typeof steps !== 'number' || typeof hidden !== 'number') return refuse('training unrolls it and needs a sequence of known length')
  if ((node.inputs[4] ?? '') !== '') refuse('sequences of different lengths are not known in training')
  if (has(node, 'activations') || has(node, 'clip') || intAttribute(node, 'layout', 0) !== 0)
    refuse('other activations, clipping and layout 1 are not known')
  if (states === 2 && ((node.inputs[7] ?? '') !== '' || intAttribute(node, 'input_forget', 0) !== 0)) refuse('peepholes are not known')
  if (floatAttribute(node, 'clip', 0) !== 0) refuse('clipping is not known')
  return { steps, hidden }
}

function unrolled(cell: Cell, states: number): Lowering {
  return ({ e }, node) => {
    const { steps, hidden } = check(node, e, states)
    const [x, w, r, b] = node.inputs
    const kind = stringAttribute(node, 'direction', 'forward')
    const directions = kind === 'bidirectional' ? 2 : 1
    const width = cell.gates * hidden
    const at = (name: string, axis: number, i: number) => e.op('Gather', [name, e.int(i)], { axis })
    const outputs: string[][] = []
    const last: string[][] = Array.from({ length: states }, () => [])
    for (let d = 0; d < directions; d++) {
      const weights = e.op('Transpose', [at(w, 0, d)], { perm: [1, 0] })
      const [inner, outer] = (b ?? '') === '' ? [] : parts(e, at(b, 0, d), 2, width)
      const product = e.op('MatMul', [x, weights])
      const inputs = inner === undefined ? product : e.op('Add', [product, inner])
      const direction: Direction = {
        recurrent: e.op('Transpose', [at(r, 0, d)], { perm: [1, 0] }),
        bias: outer,
        hidden,
        resetAfter: intAttribute(node, 'linear_before_reset', 0) !== 0
      }
      // Taken apart at once: the gradient of a split is one concatenation, that of each step's own slice a tensor of all steps.
      const each = steps === 1 ? [inputs] : e.ops('Split', [inputs, e.ints(new Array(steps).fill(1))], { axis: 0 }, steps)
      const slices = each.map(x => e.op('Squeeze', [x, e.ints([0])]))
      let current = Array.from({ length: states }, (_, s) => {
        const given = node.inputs[5 + s] ?? ''
        return given === '' ? zeros(e, slices[0], hidden) : at(given, 0, d)
      })
      const made = new Array<string>(steps)
      for (let k = 0; k < steps; k++) {
        const t = kind === 'reverse' || d === 1 ? steps - 1 - k : k
        current = cell.step(e, slices[t], current, direction)
        made[t] = current[0]
      }
      outputs.push(made)
      current.forEach((s, i) => {
        last[i].push(e.op('Unsqueeze', [s, e.ints([0])]))
      })
    }
    const [y, ...finals] = node.outputs
    if ((y ?? '') !== '') {
      const rows = Array.from({ length: steps }, (_, t) => {
        const here = outputs.map(o => e.op('Unsqueeze', [o[t], e.ints([0, 1])]))
        return here.length === 1 ? here[0] : e.op('Concat', here, { axis: 1 })
      })
      e.op('Concat', rows, { axis: 0 }, y)
    }
    finals.forEach((name, i) => {
      if (name !== '') e.op('Concat', last[i], { axis: 0 }, name)
    })
    return true
  }
}

/** Zeros [batch, hidden], the batch being that of `like` [batch, …]. */
function zeros(e: Emitter, like: string, hidden: number): string {
  const batch = e.op('Shape', [like], { start: 0, end: 1 })
  return e.op('ConstantOfShape', [e.op('Concat', [batch, e.ints([hidden])], { axis: 0 })])
}

export const lowerLstm: Lowering = unrolled(lstm, 2)
export const lowerGru: Lowering = unrolled(gru, 1)
