import t from 'tap'
import { aggregationNamed } from '../../../../actors/training/exchange/aggregation.ts'
import { codecNamed } from '../../../../actors/training/exchange/codecs.ts'
import { strategyNamed } from '../../../../actors/training/exchange/index.ts'
import { createRng } from '../../../../common/index.ts'
import { World } from './harness.ts'

const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000)
t.comment('seed', seed)

const names = (p: number) => Array.from({ length: p }, (_, i) => `t${String(i).padStart(2, '0')}`)
const allreduce = strategyNamed('allreduce')
const SIZE = 600

/** p ranks on the quadratic with minimum at 1, 2, … over all floats; `lie` may change what a rank says. */
function train(
  p: number,
  options: object,
  steps: number,
  rate: number,
  lie?: (rank: number, gradients: Float32Array, honest: Float32Array) => void
) {
  const world = new World({
    strategy: allreduce,
    options: { ...options },
    rng: createRng(`${seed}/${JSON.stringify(options)}/${p}`),
    size: SIZE,
    tail: 3,
    samples: () => 1,
    engine: {
      gradients({ name, arenas: { gradients, parameters } }, step) {
        const rank = Number(name.slice(1))
        const noise = createRng(`${seed}/${rank}/${step}`)
        for (let i = 0; i < SIZE; i++) gradients[i] = parameters[i] - (1 + (i % 5)) + (lie === undefined ? 0 : 0.3 * noise.normal())
        const honest = parameters.map((x, i) => x - (1 + (i % 5)))
        lie?.(rank, gradients, honest)
        gradients.set([0, 1, 0], SIZE)
      },
      apply({ arenas: { gradients, parameters } }) {
        for (let i = 0; i < SIZE; i++) parameters[i] -= (rate * gradients[i]) / gradients[SIZE + 1]
      }
    }
  })
  for (const name of names(p)) world.add(name).lastStep = steps
  world.group(1, names(p), () => 0)
  if (!world.run(() => world.alive.every(x => x.applied === steps), 400_000)) throw new Error('the ranks never get there')
  const [first, ...others] = [...world.trainers.values()].map(x => x.arenas.parameters)
  for (const other of others) if (!Buffer.from(other.buffer).equals(Buffer.from(first.buffer))) throw new Error('ranks hold different bits')
  let squares = 0
  for (let i = 0; i < SIZE; i++) squares += (first[i] - (1 + (i % 5))) ** 2
  return { error: Math.sqrt(squares / SIZE), bytes: [...world.trainers.values()][0].bytesSent }
}

t.test('casts lose what their precision says, and 8 bits by blocks are near a quarter of the bytes', async t => {
  const rng = createRng(seed)
  const x = Float32Array.from({ length: 10_000 }, () => rng.normal())
  for (const [name, relative, ratio] of [
    ['none', 0, 1],
    ['fp16', 2 ** -11, 2],
    ['bf16', 2 ** -8, 2]
  ] as const) {
    const codec = codecNamed(name)
    const words = new Float32Array(codec.words(x.length))
    codec.encode(x, words, 1)
    const back = new Float32Array(x.length)
    t.ok(codec.decode(words, back))
    t.ok(
      back.every((v, i) => Math.abs(v - x[i]) <= relative * Math.abs(x[i]) + 1e-7),
      name
    )
    t.equal(x.length / words.length, ratio)
  }
  t.ok(Math.abs(10_000 / codecNamed('int8').words(10_000) - 3.99) < 0.02)
  t.ok(10_000 / codecNamed('sign').words(10_000) > 31)
  t.ok(10_000 / codecNamed('top-k:0.01').words(10_000) === 50)
})

t.test('QSGD is right in the mean', async t => {
  const x = Float32Array.of(0.5, -0.1, 0.02, 0)
  const codec = codecNamed('qsgd')
  const words = new Float32Array(codec.words(4))
  const sum = new Float32Array(4)
  for (let i = 0; i < 4000; i++) {
    codec.encode(x, words, i)
    codec.decode(words, sum)
  }
  t.ok(
    sum.every((v, i) => Math.abs(v / 4000 - x[i]) < 5e-4),
    `${sum}`
  )
})

t.test('what a codec with feedback sends and keeps is what it was given', async t => {
  const rng = createRng(`${seed}/feedback`)
  for (const name of ['top-k:0.05', 'threshold:0.5', 'sign']) {
    const codec = codecNamed(name)
    const p = Float32Array.from({ length: 300 }, () => rng.normal())
    const words = new Float32Array(codec.words(300))
    codec.encode(p, words, 0)
    const sent = new Float32Array(300)
    t.ok(codec.decode(words, sent), name)
    const before = p.reduce((s, v) => s + v * v, 0)
    const after = p.reduce((s, v, i) => s + (v - sent[i]) ** 2, 0)
    t.ok(after < before, `${name} sends something of it: ${after} of ${before} left`)
  }
})

t.test('all ranks apply the same, and every codec reaches the minimum; without feedback top-k does not', async t => {
  const dense = train(4, { algorithm: 'ring' }, 150, 0.1)
  t.ok(dense.error < 1e-4)
  for (const [options, bound] of [
    [{ codec: 'fp16' }, 0.01],
    [{ codec: 'bf16' }, 0.05],
    [{ codec: 'int8' }, 0.05],
    [{ codec: 'qsgd' }, 0.1],
    [{ codec: 'sign' }, 0.3],
    [{ codec: 'top-k:0.1' }, 0.05]
  ] as const) {
    const { error } = train(4, options, 150, 0.1)
    t.ok(error < bound, `${JSON.stringify(options)}: ${error}`)
  }
  // what cancels between the ranks is always the largest: without feedback nothing else is ever sent
  const masked = (rank: number, gradients: Float32Array) => {
    for (let i = 0; i < SIZE / 10; i++) gradients[i] += rank % 2 === 0 ? 100 : -100
  }
  const kept = train(2, { codec: 'top-k:0.1' }, 300, 0.05, masked).error
  const dropped = train(2, { codec: 'top-k:0.1', 'error-feedback': false }, 300, 0.05, masked).error
  t.ok(dropped > 3, `without feedback: ${dropped}`)
  t.ok(kept < dropped / 2, `with feedback: ${kept}, without: ${dropped}`)
})

t.test('every rank sends the words p - 1 times', async t => {
  const { bytes } = train(4, { codec: 'fp16' }, 3, 0.1)
  t.equal(bytes, 3 * 3 * 4 * (SIZE / 2 + 3))
})

t.test('under the inner-product attack with 6 of 15 Krum falls, and centred clipping with momentum on the trainers holds', async t => {
  const attack = (rank: number, gradients: Float32Array, honest: Float32Array) => {
    if (rank < 6) for (let i = 0; i < SIZE; i++) gradients[i] = -0.3 * honest[i]
  }
  const quiet = train(15, { aggregate: 'centered-clipping:30', 'trainer-momentum': 0.9 }, 50, 0.2, () => {}).error
  const clipped = train(15, { aggregate: 'centered-clipping:30', 'trainer-momentum': 0.9 }, 50, 0.2, attack).error
  const krum = train(15, { aggregate: 'krum:6' }, 50, 0.2, attack).error
  t.comment('error without the attack', quiet, 'clipping', clipped, 'Krum', krum)
  t.ok(clipped < quiet + 0.2, `${clipped} beside ${quiet}`)
  t.ok(krum > 2 * clipped, `${krum}`)
})

t.test('median and trimmed mean leave liars out; a vector that is no number moves centred clipping nowhere', async t => {
  const vectors = [1, 2, 3, 1000, -1000].map(x => Float32Array.of(x, -x))
  const of = (name: string, from = Float32Array.of(0, 0), all = vectors) => {
    aggregationNamed(name).combine(all, from)
    return from
  }
  t.same(of('median'), Float32Array.of(2, -2))
  t.same(of('trimmed-mean:1'), Float32Array.of(2, -2))
  t.same(of('krum:2'), Float32Array.of(1, -1))
  t.same(of('centered-clipping:1', Float32Array.of(5, 5), [Float32Array.of(Number.NaN, 0), Float32Array.of(5, 5)]), Float32Array.of(5, 5))
})

t.test('unknown codecs and aggregations list the known; what makes no sense says why', async t => {
  const wrong = (strategy: string, options: object, message: RegExp) =>
    t.throws(() => strategyNamed(strategy).create({ ...options }), { name: 'InvalidParametersError', message })
  wrong('allreduce', { codec: 'zip' }, /no codec is called 'zip'.*top-k.*qsgd/)
  wrong('allreduce', { codec: 'top-k:2' }, /at most 1/)
  wrong('allreduce', { codec: 'int8:3' }, /int8:3/)
  wrong('allreduce', { aggregate: 'mode' }, /no aggregation is called 'mode'.*krum/)
  wrong('allreduce', { codec: 'int8', algorithm: 'ring' }, /every rank sends to every other/)
  wrong('gossip', { codec: 'int8' }, /takes no codec: only allreduce/)
  wrong('easgd', { aggregate: 'median' }, /takes no aggregate/)
})

t.test('words of a liar change nothing', async t => {
  const rng = createRng(`${seed}/hostile`)
  for (const name of ['top-k:0.1', 'threshold:0.1']) {
    const codec = codecNamed(name)
    for (let i = 0; i < 200; i++) {
      const words = new Float32Array(codec.words(50))
      new Uint32Array(words.buffer).fill(0).forEach((_, j, all) => {
        all[j] = rng.uint32()
      })
      const into = new Float32Array(50)
      if (!codec.decode(words, into)) t.ok(into.every(x => x === 0))
    }
  }
})
