import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { describe, pathOf, store } from '../../../../actors/training/node/files.ts'
import { Journal, type JournalEntry } from '../../../../actors/training/node/journal.ts'
import type { JobEvent } from '../../../../actors/training/service-types.ts'
import { InvalidParametersError, MalformedError } from '../../../../common/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'gradmesh-journal-'))
t.teardown(() => rm(folder, { recursive: true }))

const event = (epoch: number): JobEvent => ({ type: 'epoch', job: 'j', epoch, committed: 1, duplicated: 0 })

async function past(journal: Journal): Promise<number[]> {
  const numbers: number[] = []
  for await (const entry of journal.read({ live: false })) if (entry !== undefined) numbers.push(entry.n)
  return numbers
}

t.test('a reader gets the past, the mark where it ends, then what comes, in order, until the journal closes', async t => {
  const journal = new Journal(join(folder, 'a.jsonl'))
  journal.add(event(0))
  journal.add(event(1))
  const seen: (JournalEntry | undefined)[] = []
  const reading = (async () => {
    for await (const entry of journal.read({ live: true })) {
      seen.push(entry)
      if (entry === undefined) for (let i = 2; i < 5; i++) journal.add(event(i))
      if (entry?.n === 5) journal.close()
    }
  })()
  await reading
  t.same(
    seen.map(e => e?.n),
    [1, 2, undefined, 3, 4, 5]
  )
})

t.test('a journal goes on after a restart, also behind a line that a crash cut short', async t => {
  const path = join(folder, 'b.jsonl')
  const before = new Journal(path)
  for (let i = 0; i < 3; i++) before.add(event(i))
  await before.flush()
  await appendFile(path, '{"n":4,"ti')
  const after = new Journal(path)
  t.same(await past(after), [1, 2, 3])
  after.add(event(3))
  await after.flush()
  t.same(await past(after), [1, 2, 3, 4])
  t.same(await past(new Journal(path)), [1, 2, 3, 4], 'the cut line swallows nothing that came after it')
})

t.test('a journal that cannot be written still serves who follows', async t => {
  const journal = new Journal('/proc/none/a.jsonl')
  journal.add(event(0))
  t.same(await past(journal), [1])
})

t.test('names that lead out of a job folder are refused', async t => {
  for (const name of ['', '.', '..', '../x', 'a/../../b', '/etc/passwd', 'a//b', 'a\0b', './x', 'checkpoints/..']) {
    t.throws(() => pathOf('/jobs/j', name), InvalidParametersError, JSON.stringify(name))
  }
  t.equal(pathOf('/jobs/j', 'checkpoints/00000001/manifest.json'), '/jobs/j/checkpoints/00000001/manifest.json')
})

t.test('a file appears only with the content its id names', async t => {
  async function* bytes(...parts: string[]) {
    for (const part of parts) yield new TextEncoder().encode(part)
  }
  const source = join(folder, 'source')
  const block = { name: 'model.onnx', cid: '', bytes: 5 }
  await store(source, { ...block, cid: 'wrong' }, bytes('hello')).then(
    () => t.fail('a wrong id was accepted'),
    error => t.ok(error instanceof MalformedError)
  )
  await t.rejects(describe(source, 'model.onnx'), 'nothing was left under the name')
  const { writeFile } = await import('node:fs/promises')
  await writeFile(join(source, 'model.onnx'), 'hello')
  const right = await describe(source, 'model.onnx')
  const copy = join(folder, 'copy')
  await store(copy, right, bytes('he', 'llo'))
  t.same(await describe(copy, 'model.onnx'), right)
  await t.rejects(store(copy, right, bytes('hello', '!')), MalformedError)
  await t.rejects(store(copy, right, bytes('hell')), MalformedError)
  t.same(await describe(copy, 'model.onnx'), right, 'the good one stays')
})
