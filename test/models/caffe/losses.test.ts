import t, { type Test } from 'tap'
import { createRng } from '../../../common/index.ts'
import { assertClose, normal, runOrt } from '../reference/check.ts'
import { evaluate } from '../reference/evaluate.ts'
import { type Ref, ref } from '../reference/tensor.ts'
import { blobOf, type Case, checkTraining, prepare } from './check.ts'
import { data, ip, layer, softmaxLoss } from './nets.ts'

const seed = 808
t.comment('seed', seed)

/** Scores [N, 4] of a fully connected layer, and what a loss layer makes of them. */
const scored = (loss: string, labels: number[], n = 3): Case => ({
  net: data() + ip('x', 'data', 4) + loss,
  data: normal(createRng(seed), [n, 5], 2),
  labels,
  seed
})

const rows = (x: Ref) => Array.from({ length: x.shape[0] }, (_, i) => [...x.data.subarray(i * x.shape[1], (i + 1) * x.shape[1])])
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
const near = (t: Test, value: number, expected: number) =>
  t.ok(Math.abs(value - expected) < 1e-5 * Math.max(1, Math.abs(expected)), `${value} is ${expected}`)

const crossEntropy = (row: number[], label: number) => Math.log(sum(row.map(Math.exp))) - row[label]

t.test('SoftmaxWithLoss is the mean over the batch, or over the labels that count', async t => {
  const labels = [0, 3, 1]
  const plain = scored(softmaxLoss('loss', 'x'), labels)
  const x = rows(await blobOf(plain, 'x'))
  const each = x.map((row, i) => crossEntropy(row, labels[i]))
  near(t, await checkTraining(plain), sum(each) / 3)
  const with_ = (rest: string) => scored(layer('loss', 'SoftmaxWithLoss', ['x', 'label'], 'loss', rest), labels)
  near(t, await checkTraining(with_('loss_param { ignore_label: 3 }')), (each[0] + each[2]) / 2)
  near(t, await checkTraining(with_('loss_param { ignore_label: 3 normalization: FULL }')), (each[0] + each[2]) / 3)
  near(t, await checkTraining(with_('loss_param { ignore_label: 3 normalize: false }')), (each[0] + each[2]) / 3)
  near(t, await checkTraining(with_('loss_param { normalization: NONE }')), sum(each))
  near(t, await checkTraining(with_('loss_weight: 0.3')), 0.3 * (sum(each) / 3))
})

t.test('several losses are added with their weights', async t => {
  const labels = [1, 2, 3]
  const net =
    softmaxLoss('a', 'x', 0.3) + ip('z', 'x', 4) + layer('b', 'SoftmaxWithLoss', ['z', 'label'], 'b', 'loss_param { ignore_label: 2 }')
  const c = scored(net, labels)
  const a = rows(await blobOf(c, 'x')).map((row, i) => crossEntropy(row, labels[i]))
  const b = rows(await blobOf(c, 'z')).map((row, i) => crossEntropy(row, labels[i]))
  near(t, await checkTraining(c), 0.3 * (sum(a) / 3) + (b[0] + b[2]) / 2)
  t.strictSame(prepare(c).model.graph.outputs, ['z', 'x'], 'the heaviest comes first')
})

t.test('a loss that diverged is reported as 87.3365 and its gradient goes on', async t => {
  const c = scored(softmaxLoss('loss', 'x'), [0, 0, 0])
  const { parts, feeds } = prepare({ ...c, values: { 'x.bias': ref([4], [-500, 500, 0, 0]) } })
  const ran = await runOrt(parts.train, feeds)
  near(t, ran.get('lossSum')!.data[0] / 3, 87.33654475)
  assertClose('gradient', ran.get('gradient/x.bias')!, ref([4], [-3, 3, 0, 0]), 1e-6)
})

t.test('EuclideanLoss is half the squared distance a sample', async t => {
  const to = scored(ip('z', 'data', 4) + layer('loss', 'EuclideanLoss', ['x', 'z'], 'loss'), [0, 0, 0])
  const [x, z] = [rows(await blobOf(to, 'x')), rows(await blobOf(to, 'z'))]
  near(t, await checkTraining(to), sum(x.flatMap((row, i) => row.map((v, k) => (v - z[i][k]) ** 2))) / 6)
  const label = scored(ip('y', 'x', 1) + layer('loss', 'EuclideanLoss', ['y', 'label'], 'loss'), [2, 0, 5])
  const y = rows(await blobOf(label, 'y'))
  near(t, await checkTraining(label), sum([2, 0, 5].map((v, i) => (y[i][0] - v) ** 2)) / 6)
})

t.test('SigmoidCrossEntropyLoss adds the elements of a sample', async t => {
  const net = (rest: string) =>
    layer('t', 'Sigmoid', 'data', 't') + ip('y', 'x', 5) + layer('loss', 'SigmoidCrossEntropyLoss', ['y', 't'], 'loss', rest)
  const c = scored(net(''), [0, 0, 0])
  const [y, p] = [rows(await blobOf(c, 'y')), rows(await blobOf(c, 't'))]
  const total = sum(y.flatMap((row, i) => row.map((v, k) => Math.log1p(Math.exp(v)) - p[i][k] * v)))
  near(t, await checkTraining(c), total / 3)
  near(t, await checkTraining(scored(net('loss_param { normalization: VALID }'), [0, 0, 0])), total / 15)
})

t.test('HingeLoss in both norms', async t => {
  const labels = [2, 0, 1]
  const net = (norm: string) => scored(layer('loss', 'HingeLoss', ['x', 'label'], 'loss', `hinge_loss_param { norm: ${norm} }`), labels)
  const x = rows(await blobOf(net('L1'), 'x'))
  const margins = x.flatMap((row, i) => row.map((v, k) => Math.max(0, 1 + (k === labels[i] ? -v : v))))
  near(t, await checkTraining(net('L1')), sum(margins) / 3)
  near(t, await checkTraining(net('L2')), sum(margins.map(m => m * m)) / 3)
})

t.test('ContrastiveLoss of twins that share their parameters', async t => {
  const shared =
    'param { name: "shared w" } param { name: "shared b" } inner_product_param { num_output: 2 weight_filler { type: "xavier" } }'
  const twins =
    layer('s', 'Slice', 'data', ['left', 'right']) +
    layer('a', 'InnerProduct', 'left', 'a', shared) +
    layer('b', 'InnerProduct', 'right', 'b', shared)
  for (const legacy of [false, true]) {
    const loss = layer(
      'loss',
      'ContrastiveLoss',
      ['a', 'b', 'label'],
      'loss',
      `contrastive_loss_param { margin: 2 legacy_version: ${legacy} }`
    )
    const c: Case = { net: data() + twins + loss, data: normal(createRng(seed), [4, 6]), labels: [1, 0, 0, 1], seed }
    const [a, b] = [rows(await blobOf(c, 'a')), rows(await blobOf(c, 'b'))]
    const squares = a.map((row, i) => sum(row.map((v, k) => (v - b[i][k]) ** 2)))
    const far = (s: number) => (legacy ? Math.max(0, 2 - s) : Math.max(0, 2 - Math.sqrt(s)) ** 2)
    t.strictSame([...prepare(c).model.graph.parameters.keys()], ['shared w', 'shared b'])
    if (legacy) near(t, await checkTraining(c), sum(squares.map((s, i) => (c.labels![i] === 1 ? s : far(s)))) / 8)
    else {
      // Caffe's gradient of the distance is a little less than the distance's own, so that finite differences do not apply.
      const { parts, feeds } = prepare(c)
      near(t, evaluate(parts.train, feeds).get('lossSum')!.data[0] / 4, sum(squares.map((s, i) => (c.labels![i] === 1 ? s : far(s)))) / 8)
    }
  }
  const equal: Case = {
    net: data() + twins + layer('loss', 'ContrastiveLoss', ['a', 'b', 'label'], 'loss'),
    data: ref([1, 6], [1, 2, 3, 1, 2, 3]),
    labels: [0],
    seed
  }
  const { parts, feeds } = prepare(equal)
  t.ok((await runOrt(parts.train, feeds)).get('gradient/shared w')!.data.every(Number.isFinite), 'equal blobs have a finite gradient')
})

t.test('MultinomialLogisticLoss takes probabilities', async t => {
  const c = scored(layer('p', 'Softmax', 'x', 'p') + layer('loss', 'MultinomialLogisticLoss', ['p', 'label'], 'loss'), [0, 3, 1])
  const x = rows(await blobOf(c, 'x'))
  near(t, await checkTraining(c), sum(x.map((row, i) => crossEntropy(row, [0, 3, 1][i]))) / 3)
})

t.test('a blob with a weight is part of the objective', async t => {
  const c = scored(
    softmaxLoss('loss', 'x', 0) + layer('r', 'Reduction', 'x', 'r', 'loss_weight: 0.5 reduction_param { operation: SUMSQ }'),
    [0, 0, 0]
  )
  near(
    t,
    await checkTraining(c),
    0.5 *
      sum(
        rows(await blobOf(c, 'x'))
          .flat()
          .map(v => v * v)
      )
  )
})

/** Hits as the graph that scores the test data counts them. */
async function correct(c: Case): Promise<number> {
  const { parts, feeds } = prepare(c)
  return (await runOrt(parts.evaluate, feeds)).get('correct')!.data[0]
}

t.test('Accuracy counts ties against the model, takes the top k and ignores a label', async t => {
  const net = (rest: string) =>
    softmaxLoss('loss', 'x') + layer('acc', 'Accuracy', ['x', 'label'], 'acc', `include { phase: TEST } ${rest}`)
  const c = (rest: string, labels = [0, 1, 2]) => ({ ...scored(net(rest), labels), data: ref([3, 5], new Float64Array(15)) })
  const bias = (values: number[]) => ({ values: { 'x.bias': ref([4], values) } })
  t.equal(await correct({ ...c(''), ...bias([1, 1, 1, 1]) }), 0, 'constant scores score nothing')
  t.equal(await correct({ ...c(''), ...bias([4, 3, 2, 1]) }), 1)
  t.equal(await correct({ ...c('accuracy_param { top_k: 2 }'), ...bias([4, 3, 2, 1]) }), 2)
  t.equal(await correct({ ...c('accuracy_param { top_k: 2 }'), ...bias([4, 3, 3, 1]) }), 1, 'a tie with the second')
  t.equal(await correct({ ...c('accuracy_param { top_k: 4 }'), ...bias([1, 1, 1, 1]) }), 3)
  t.equal(await correct({ ...c('accuracy_param { ignore_label: 0 }'), ...bias([4, 3, 2, 1]) }), 0)
})

t.test('a net without a loss has softmax cross-entropy, before a softmax at its end', async t => {
  const c = scored(layer('p', 'Softmax', 'x', 'p'), [0, 3, 1])
  const x = rows(await blobOf(c, 'x'))
  near(t, await checkTraining(c), sum(x.map((row, i) => crossEntropy(row, [0, 3, 1][i]))) / 3)
  t.strictSame(prepare(c).model.graph.outputs, ['p'])
})
