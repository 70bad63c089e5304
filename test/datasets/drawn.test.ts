import t from 'tap'
import { AbortedError, InvalidParametersError } from '../../common/index.ts'
import { openDataset } from '../../datasets/index.ts'
import { drawnSplit } from '../../datasets/splits.ts'

t.test('a URI reopens the same data set', async t => {
  const first = await openDataset('digits?test=10&train=40', { seed: 9 })
  t.equal(first.uri, 'digits?train=40&test=10&seed=9')
  const again = await openDataset(first.uri, { seed: 1 })
  t.equal(again.uri, first.uri, 'the seed in the URI counts')
  t.strictSame(again.fingerprint, first.fingerprint)
  t.match(first.fingerprint, { count: 40, testCount: 10, shape: [1, 28, 28], classes: 10, digest: /^[0-9a-f]{64}$/ })
  for (const other of ['digits?train=40&test=10&seed=8', 'digits?train=41&test=10&seed=9', 'digits?train=40&test=11&seed=9']) {
    t.not((await openDataset(other)).fingerprint.digest, first.fingerprint.digest, other)
  }
})

t.test('the defaults are written out', async t => {
  t.equal((await openDataset('shapes32?train=5&test=5')).uri, 'shapes32?train=5&test=5&seed=0')
  const digits = await openDataset('digits')
  t.equal(digits.uri, 'digits?train=12000&test=2000&seed=0')
  t.equal(digits.train.count, 12_000)
  t.equal(digits.test.count, 2000)
})

t.test('the event loop turns while a set is drawn, and progress is told', async t => {
  let turns = 0
  let open = true
  const count = (): void => {
    turns++
    if (open) setImmediate(count)
  }
  setImmediate(count)
  const told: number[] = []
  await openDataset('digits?train=6000&test=100', {
    onProgress: (done, total) => {
      t.equal(total, 6100)
      told.push(done)
    }
  })
  open = false
  // 6,000 digits take some 100 ms and a slice is 4 ms, so even a machine ten times as fast must turn twice
  t.ok(turns >= 2, `${turns} turns`)
  t.strictSame(
    told.toSorted((a, b) => a - b),
    told
  )
  t.equal(told.at(-1), 6100)
})

t.test('drawing can be aborted', async t => {
  const abort = new AbortController()
  await t.rejects(openDataset('digits?train=100000&test=10', { signal: abort.signal, onProgress: () => abort.abort() }), AbortedError)
  await t.rejects(openDataset('digits', { signal: AbortSignal.abort() }), AbortedError)
})

t.test('a seed that cannot be is refused', async t => {
  for (const seed of [-1, 0.5, 2 ** 32, Number.NaN]) await t.rejects(openDataset('digits', { seed }), InvalidParametersError)
})

t.test('a set too large to keep is drawn when read, to the same samples', async t => {
  const few = await openDataset('digits?train=20&test=1')
  const many = await openDataset('digits?train=2000000000&test=1')
  t.equal(many.train.count, 2_000_000_000)
  const read = ({ train }: typeof few, ids: number[]) => {
    const into = new Float32Array(ids.length * 784)
    const labels = new Int32Array(ids.length)
    train.read(ids, into, labels)
    return { into, labels }
  }
  t.strictSame(read(many, [0, 7, 19]), read(few, [0, 7, 19]))
  t.equal(
    new Set(
      read(
        many,
        Array.from({ length: 10 }, (_, i) => 1_999_999_990 + i)
      ).labels
    ).size,
    10
  )
  t.throws(() => read(many, [2_000_000_000]), InvalidParametersError)
})

t.test('a drawn split checks its targets before it draws', async t => {
  const draw = (): number => t.fail('drawn') as never
  const split = drawnSplit(5, draw, [1, 2, 2], { mean: [0], scale: 1 })
  t.throws(() => split.read([1], new Float32Array(3), new Int32Array(1)), InvalidParametersError)
  t.throws(() => split.read([5], new Float32Array(4), new Int32Array(1)), InvalidParametersError)
})
