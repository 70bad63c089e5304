import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { FABLES_ALPHABET, fable } from '../../datasets/fables.ts'
import { createBatchReader, openDataset } from '../../datasets/index.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const base = mkdtempSync(path.join(tmpdir(), 'gradmesh-text-'))
t.teardown(() => rmSync(base, { recursive: true }))

function file(name: string, content: string | Uint8Array): string {
  const at = path.join(base, name)
  writeFileSync(at, content)
  return at
}

t.test('a text becomes windows without gap or overlap, each label the character after its own', async t => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', minLength: 60, maxLength: 300 }), fc.integer({ min: 2, max: 9 }), async (text, length) => {
      const characters = [...text.replace(/\p{Cs}|^\ufeff/gu, 'x')]
      const vocabulary = [...new Set(characters)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
      const set = await openDataset(`text:${file('any.txt', characters.join(''))}?length=${length}`)
      const { train, test } = set
      t.equal(set.classes, vocabulary.length)
      const seen: string[] = []
      for (const split of [train, test]) {
        const data = new Float32Array(split.count * length)
        const labels = new Int32Array(split.count * length)
        split.read(
          Array.from({ length: split.count }, (_, i) => i),
          data,
          labels
        )
        const read = Array.from(data, token => vocabulary[token]!)
        const next = Array.from(labels, token => vocabulary[token]!)
        t.strictSame(next.slice(0, -1), read.slice(1))
        seen.push(read.join('') + next.at(-1)!)
      }
      const cut = characters.length - Math.max(Math.floor(characters.length / 10), length + 1)
      t.ok(characters.slice(0, cut).join('').startsWith(seen[0]!))
      t.ok(characters.slice(cut).join('').startsWith(seen[1]!))
      t.ok(train.count * length > cut - 1 - length)
    }),
    { seed, numRuns: 25 }
  )
})

t.test('a fingerprint tells texts and lengths apart', async t => {
  const text = 'the quick brown fox jumps over the lazy dog. '.repeat(20)
  const digest = async (content: string, length = 16) =>
    (await openDataset(`text:${file('a.txt', content)}?length=${length}`)).fingerprint.digest
  t.equal(await digest(text), await digest(text))
  t.not(await digest(text), await digest(text.replace('fox', 'cat')))
  t.not(await digest(text), await digest(text, 17))
  t.equal((await openDataset(`text:${path.join(base, 'a.txt')}`)).positions, 64)
})

t.test('texts that cannot be read are refused by name', async t => {
  const wrong = (uri: string, message: RegExp, options = {}) => t.rejects(openDataset(uri, options), { message, exitCode: 2 }, uri)
  await wrong('text', /lacks the file: write text:FILE/)
  await wrong(`text:${base}/none.txt`, /there is no file 'none\.txt'/)
  await wrong(`text:${file('short.txt', 'abc')}`, /short\.txt has 3 characters, too few for samples of 64/)
  await wrong(`text:${file('same.txt', 'a'.repeat(500))}`, /one character over and over/)
  await wrong(`text:${file('latin.txt', Uint8Array.of(0x61, 0xe4, 0x62))}`, /latin\.txt: not UTF-8/)
  await wrong(`text:${file('cut.txt', Uint8Array.of(0x61, 0xe2, 0x82))}`, /cut\.txt: not UTF-8/)
  await wrong(`text:${base}`, /not a regular file/)
  await wrong(`text:${file('a.txt', 'abc')}?length=1`, /'length'.*2 to 4096/)
  mkdirSync(path.join(base, 'root'))
  await wrong(`text:${base}/a.txt`, /outside this node's data roots/, { dataRoots: [path.join(base, 'root')] })
})

t.test('fables depend on their seed and number alone, and stay within their alphabet', async t => {
  for (let id = 0; id < 200; id++) {
    const text = fable(seed, id, 400)
    t.equal(fable(seed, id, 400), text)
    for (const c of text) if (!FABLES_ALPHABET.includes(c)) t.fail(`'${c}' in ${text}`)
  }
  t.not(fable(seed, 1, 400), fable(seed, 2, 400))
  const set = await openDataset('fables?train=50&test=10&length=32')
  t.strictSame(set.shape, [32])
  t.equal(set.classes, FABLES_ALPHABET.length)
  const { data, labels } = createBatchReader(set.train, set.shape, set.positions).read(Uint32Array.from([3, 7]), 0, 2)
  t.equal(labels.length, 64)
  t.strictSame([...data.slice(1, 32)], [...labels.slice(0, 31)])
  t.ok(data.every(token => token < set.classes))
})
