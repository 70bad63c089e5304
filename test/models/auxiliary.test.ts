import t from 'tap'
import { createRng } from '../../common/index.ts'
import { copyGraph, type Graph } from '../../models/graph/types.ts'
import { exportModel, initialise, layers, loadOnnx, parameterLayout } from '../../models/index.ts'
import { trainingParts } from '../../models/training.ts'
import { normal } from './reference/check.ts'
import { evaluate } from './reference/evaluate.ts'
import { type Ref, ref } from './reference/tensor.ts'

function twoHeads(lossWeight: number): Graph {
  const b = layers('two', [6]).innerProduct('trunk', { outputs: 5, activation: 'tanh' }).innerProduct('early', { outputs: 3 })
  b.from('trunk').innerProduct('middle', { outputs: 4, activation: 'tanh' }).innerProduct('late', { outputs: 3 })
  return b.build([
    { layer: 'late', name: 'logits' },
    { layer: 'early', lossWeight }
  ])
}

function values(graph: Graph): Map<string, Ref> {
  const { train, layout, outputs } = trainingParts(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 3, arena)
  const feeds = new Map<string, Ref>([
    ['data', normal(createRng(4), [4, 6])],
    ['labels', ref([4], [0, 1, 2, 1])]
  ])
  for (const p of layout.parameters) feeds.set(p.name, ref(p.shape, Array.from(arena.subarray(p.offset, p.offset + p.size))))
  const found = evaluate(train, feeds)
  return new Map([
    ['lossSum', found.get('lossSum')!],
    ...layout.parameters.map((p, i) => [p.name, found.get(outputs.gradients[i]!)!] as const)
  ])
}

t.test('losses and gradients of auxiliary classifiers are added with their weights', async t => {
  const both = values(twoHeads(0.3))
  const main = values(twoHeads(0))
  const flipped = copyGraph(twoHeads(0))
  flipped.outputs.reverse()
  flipped.auxiliary = new Map([['logits', 0]])
  const early = values(flipped)
  for (const [name, { data }] of both) {
    data.forEach((v, i) => {
      const expected = main.get(name)!.data[i]! + 0.3 * early.get(name)!.data[i]!
      if (Math.abs(v - expected) > 1e-6) t.fail(`${name}[${i}] is ${v}, not ${expected}`)
    })
  }
  t.not(both.get('early.weight')!.data[0], 0)
})

t.test('the exported model and its evaluation leave them out', async t => {
  const graph = twoHeads(0.3)
  const layout = parameterLayout(graph)
  const arena = new Float32Array(layout.total)
  initialise(layout, 3, arena)
  const loaded = loadOnnx(exportModel(graph, layout, arena))
  t.strictSame(loaded.outputs, ['logits'])
  t.strictSame([...loaded.parameters.keys()].sort(), [
    'late.bias',
    'late.weight',
    'middle.bias',
    'middle.weight',
    'trunk.bias',
    'trunk.weight'
  ])
  t.notOk(trainingParts(graph).evaluate.nodes.some(n => n.inputs.includes('early.weight')))
})
