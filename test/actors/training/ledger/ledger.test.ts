import fc from 'fast-check'
import t from 'tap'
import {
  commit,
  committers,
  createLedger,
  encodeLedger,
  figures,
  isComplete,
  isFinished,
  type Ledger,
  mergeLedger
} from '../../../../actors/training/ledger/index.ts'
import { createRng } from '../../../../common/index.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
t.comment('seed', seed)

const spec = { job: 'j', samples: 47, rangeSize: 5, epochs: 3 }
const names = ['a', 'b', 'c', 'déjà vu']

const commits = fc.array(fc.record({ epoch: fc.nat(2), range: fc.nat(9), trainer: fc.constantFrom(...names) }), { maxLength: 60 })
type Commits = { epoch: number; range: number; trainer: string }[]

function ledgerOf(list: Commits): Ledger {
  const ledger = createLedger(spec)
  for (const { epoch, range, trainer } of list) commit(ledger, epoch, range, trainer)
  return ledger
}

function merged(...parts: Ledger[]): Ledger {
  const ledger = createLedger(spec)
  for (const part of parts) mergeLedger(ledger, encodeLedger(part))
  return ledger
}

/** All that can be asked of a ledger, apart from the order in which it learnt it. */
function contents(ledger: Ledger) {
  return Array.from({ length: spec.epochs }, (_, epoch) => ({
    ...figures(ledger, epoch),
    complete: isComplete(ledger, epoch),
    digest: ledger.epochs[epoch]?.digest ?? [0, 0],
    committers: Array.from({ length: ledger.ranges }, (_, range) => committers(ledger, epoch, range).sort())
  }))
}

t.test('merging is commutative, associative and idempotent, and equals committing everything in one place', async t => {
  fc.assert(
    fc.property(commits, commits, commits, (a, b, c) => {
      const [x, y, z] = [ledgerOf(a), ledgerOf(b), ledgerOf(c)]
      const all = contents(ledgerOf([...a, ...b, ...c]))
      t.same(contents(merged(x, y, z)), all)
      t.same(contents(merged(z, x, y)), all)
      t.same(contents(merged(x, merged(y, z))), all)
      t.same(contents(merged(merged(x, y), z, x, y)), all)
      t.equal(mergeLedger(merged(x, y), encodeLedger(x)), false)
    }),
    { seed, numRuns: 100 }
  )
})

t.test('every sample counts once, and what is trained again is duplicated', async t => {
  const ledger = createLedger({ job: 'j', samples: 23, rangeSize: 10, epochs: 2 })
  t.equal(ledger.ranges, 3)
  t.ok(commit(ledger, 0, 2, 'a'))
  t.same(figures(ledger, 0), { committed: 3, duplicated: 0 })
  t.notOk(commit(ledger, 0, 2, 'a'))
  t.ok(commit(ledger, 0, 2, 'b'))
  t.ok(commit(ledger, 0, 2, 'c'))
  t.same(figures(ledger, 0), { committed: 3, duplicated: 6 })
  commit(ledger, 0, 0, 'b')
  t.notOk(isComplete(ledger, 0))
  commit(ledger, 0, 1, 'b')
  t.same(figures(ledger, 0), { committed: 23, duplicated: 6 })
  t.ok(isComplete(ledger, 0))
  for (const range of [0, 1, 2]) commit(ledger, 1, range, 'a')
  t.ok(isFinished(ledger))
})

t.test('sparse, dense and mixed sets come back from bytes, and take few of them', async t => {
  const rng = createRng(seed)
  for (const kind of ['one trainer', 'two at random', 'fifty at random', 'halves', 'sparse']) {
    const big = { job: 'j', samples: 200_000, rangeSize: 2, epochs: 1 }
    const ledger = createLedger(big)
    for (let range = 0; range < ledger.ranges; range++) {
      if (kind === 'sparse' && rng.int(50) !== 0) continue
      const trainer =
        kind === 'one trainer'
          ? 0
          : kind === 'two at random'
            ? rng.int(2)
            : kind === 'fifty at random'
              ? rng.int(50)
              : range < 50_000
                ? 0
                : 1
      commit(ledger, 0, range, `t${trainer}`)
    }
    const bytes = encodeLedger(ledger)
    const copy = createLedger(big)
    t.ok(mergeLedger(copy, bytes))
    t.same(figures(copy, 0), figures(ledger, 0))
    t.same(copy.epochs[0]!.digest, ledger.epochs[0]!.digest)
    const limits: Record<string, number> = {
      'one trainer': 40,
      'two at random': 25_100,
      'fifty at random': 210_000,
      halves: 50,
      sparse: 4500
    }
    t.ok(bytes.length <= limits[kind], `${kind}: ${bytes.length} bytes`)
  }
})

t.test('bytes of a hostile peer are refused or harmless', async t => {
  const rng = createRng(seed + 1)
  const good = encodeLedger(ledgerOf(fc.sample(commits, { seed, numRuns: 1 })[0]))
  let refused = 0
  for (let i = 0; i < 3000; i++) {
    const ledger = createLedger(spec)
    const bytes = rng.int(2) === 0 ? good.slice() : Uint8Array.from({ length: rng.int(40) }, () => rng.int(256))
    for (let k = rng.int(4); k >= 0 && bytes.length > 0; k--) bytes[rng.int(bytes.length)] = rng.int(256)
    try {
      mergeLedger(ledger, bytes)
    } catch (error) {
      refused++
      t.equal((error as Error).name, 'MalformedError')
    }
    for (let epoch = 0; epoch < spec.epochs; epoch++) t.ok(figures(ledger, epoch).committed <= spec.samples)
    t.ok(ledger.epochs.length <= spec.epochs)
  }
  t.ok(refused > 100)
})

t.test('specifications that make no sense are refused by name', async t => {
  t.throws(() => createLedger({ ...spec, samples: 0 }), { name: 'InvalidParametersError', message: /samples/ })
  t.throws(() => createLedger({ ...spec, rangeSize: 0.5 }), { name: 'InvalidParametersError', message: /rangeSize/ })
  t.throws(() => createLedger({ ...spec, epochs: Number.NaN }), { name: 'InvalidParametersError', message: /epochs/ })
  t.throws(() => createLedger({ job: 'j', samples: 2 ** 30, rangeSize: 1, epochs: 2 }), { name: 'TooLargeError' })
  t.throws(() => commit(createLedger(spec), 0, 10, 'a'), RangeError)
  t.throws(() => commit(createLedger(spec), 0, 1, ''), { name: 'MalformedError' })
})
