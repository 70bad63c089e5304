import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { jobSpec } from '../../cli/job-spec.ts'
import { earlierRun, RunFolder } from '../../cli/run-folder.ts'
import { type FakeFile, FakeNode, goodFiles, goodRun } from './fake-node.ts'

const spec = jobSpec({ model: 'lenet', data: 'digits' }, '/')
const wrong = { name: 'InvalidParametersError', exitCode: 2 }

function base(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gm-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function node(path: string, files: FakeFile[]): FakeNode {
  return new FakeNode({ stateDir: join(path, 'state'), files })
}

t.test('a run leaves its configuration, metrics, checkpoints and model', async t => {
  const path = base(t)
  const out = join(path, 'a', 'b')
  const folder = RunFolder.create(out)
  folder.writeConfig({ job: 'job-1', spec, version: '1' })
  for (const event of goodRun()) folder.append(event)
  folder.append({ type: 'log', level: 'info', message: 'chatter', node: 'n' })
  await folder.sync(node(path, goodFiles), 'job-1')
  folder.close()
  t.same(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')), { job: 'job-1', spec, version: '1' })
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')
  t.same(
    lines.map(line => JSON.parse(line)),
    goodRun()
  )
  t.equal(readFileSync(join(out, 'model.onnx'), 'utf8'), 'a model')
  t.same(readdirSync(join(out, 'checkpoints', '000004')).sort(), ['manifest.json', 'model.safetensors'])
  t.same(readdirSync(out).sort(), ['checkpoints', 'config.json', 'metrics.jsonl', 'model.onnx'], 'and nothing temporary')
})

t.test('what has been fetched is fetched once, and the manifest of a checkpoint last', async t => {
  const path = base(t)
  const folder = RunFolder.create(join(path, 'out'))
  t.teardown(() => folder.close())
  const service = node(path, goodFiles)
  await folder.sync(service, 'job-1')
  await folder.sync(service, 'job-1')
  t.equal(service.calls.length, 3)
  t.equal(service.calls.at(-1), 'file checkpoints/000004/manifest.json')
})

t.test('a file that comes short leaves nothing, and no checkpoint to resume from', async t => {
  const path = base(t)
  const out = join(path, 'out')
  const folder = RunFolder.create(out)
  t.teardown(() => folder.close())
  const service = node(path, goodFiles)
  const whole = service.file.bind(service)
  service.file = async function* (job, name) {
    if (name.endsWith('.safetensors')) yield Buffer.from('wei')
    else yield* whole(job, name)
  }
  await t.rejects(folder.sync(service, 'job-1'), { name: 'MalformedError', message: /19 bytes, but 3/ })
  t.same(readdirSync(join(out, 'checkpoints', '000004')), [])
  t.equal(folder.resumable, false)
  service.file = async function* () {
    for (;;) yield Buffer.alloc(1000)
  }
  await t.rejects(folder.sync(service, 'job-1'), { name: 'MalformedError' }, 'nor does one that never ends')
})

t.test('no name of a file leads out of the folder or onto what this side writes', async t => {
  const path = base(t)
  const names = ['../x', '/etc/x', 'a/../../x', '.ssh/x', 'a//b', 'config.json', 'metrics.jsonl', 'a\\b', 'a/b\0', '', 'x/'.repeat(9) + 'x']
  for (const name of names) {
    const folder = RunFolder.create(join(path, 'out'))
    await t.rejects(folder.sync(node(path, [{ name, text: 'x' }]), 'job-1'), { name: 'MalformedError', message: /may not be called/ }, name)
    folder.close()
  }
})

t.test('a folder that holds another run, or cannot be written, is refused', async t => {
  const path = base(t)
  const out = join(path, 'out')
  const folder = RunFolder.create(out)
  folder.writeConfig({ job: 'job-1', spec })
  folder.close()
  t.throws(() => RunFolder.create(out), { ...wrong, message: /holds another run.*--resume/ })
  t.throws(() => RunFolder.create(out, { job: 'job-2' }), wrong)
  RunFolder.create(out, { job: 'job-1' }).close()
  const file = join(path, 'file')
  writeFileSync(file, '')
  t.throws(() => RunFolder.create(file), { ...wrong, message: /not a folder/ })
  t.throws(() => RunFolder.create(join(file, 'below')), { ...wrong, message: /cannot be written/ })
  // A file system that says of a folder's existing parent that it is missing.
  if (existsSync('/proc/self')) t.throws(() => RunFolder.create('/proc/gradmesh/below'), { ...wrong, message: /cannot be written/ })
})

t.test('a run that never began leaves nothing', async t => {
  const path = base(t)
  RunFolder.create(join(path, 'out')).abandon()
  t.equal(existsSync(join(path, 'out')), false)
  mkdirSync(join(path, 'mine'))
  writeFileSync(join(path, 'mine', 'notes'), '')
  RunFolder.create(join(path, 'mine')).abandon()
  t.same(readdirSync(join(path, 'mine')), ['notes'])
})

t.test('the newest complete checkpoint is the one to resume from', async t => {
  const path = base(t)
  t.throws(() => earlierRun(path), { ...wrong, message: /is no run's folder/ })
  writeFileSync(join(path, 'config.json'), '[]')
  t.throws(() => earlierRun(path), { ...wrong, message: /not the configuration/ })
  writeFileSync(join(path, 'config.json'), JSON.stringify({ job: 'job-1', spec }))
  t.throws(() => earlierRun(path), { ...wrong, message: /no complete checkpoint/ })
  for (const [name, complete] of [
    ['000009', true],
    ['000100', true],
    ['000200', false]
  ] as const) {
    mkdirSync(join(path, 'checkpoints', name), { recursive: true })
    if (complete) writeFileSync(join(path, 'checkpoints', name, 'manifest.json'), '{}')
  }
  t.match(earlierRun(path), { checkpoint: join(path, 'checkpoints', '000100'), config: { job: 'job-1', spec } })
})
