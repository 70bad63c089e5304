import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JobEvent } from '../../actors/training/service-types.ts'
import { ControlClient } from '../../cli/control/client.ts'
import { findNode, requireNode } from '../../cli/control/discover.ts'
import { serveEmbedded } from '../../cli/control/embedded.ts'
import { MAX_REQUEST, socketPath } from '../../cli/control/protocol.ts'
import { serveControl } from '../../cli/control/server.ts'
import { jobSpec } from '../../cli/job-spec.ts'
import { InvalidParametersError, OverloadedError } from '../../common/index.ts'
import { FakeNode, goodFiles, goodRun } from './fake-node.ts'

const spec = jobSpec({ model: 'lenet', data: 'digits' }, '/')

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gm-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function serve(t: Test, init = {}) {
  const stateDir = folder(t)
  const node = new FakeNode({ stateDir, ...init })
  const server = await serveControl({ folder: stateDir, service: node })
  t.teardown(() => server.close())
  return { node, server, client: new ControlClient(server.path) }
}

t.test('a client over the socket is the service itself', async t => {
  const { node, server, client } = await serve(t, { events: goodRun(), files: goodFiles })
  t.equal(statSync(server.path).mode & 0o777, 0o600)
  t.same(await client.ping(), { pid: process.pid })
  t.same(await client.submit(spec), { job: 'job-1', warnings: [] })
  t.same(node.submitted, [spec])
  t.same(await client.status(), await node.status())
  t.same(await client.jobs(), await node.jobs())
  t.same(await client.job('job-1'), await node.job('job-1'))
  t.same(await all(client.follow('job-1')), goodRun(), 'and ends with the final state')
  t.same(await all(client.follow('job-1', { from: 3, live: false })), goodRun().slice(3))
  t.same(await client.files('job-1'), await node.files('job-1'))
  const bytes = Buffer.concat(await all(client.file('job-1', 'checkpoints/000004/model.safetensors')))
  t.equal(bytes.toString(), 'weights and weights')
  t.equal(await client.invite({ ttl: 60_000 }), 'invite-60000')
  await client.stop('job-1')
  await client.leave()
  t.same(
    node.calls.filter(call => !call.startsWith('file')),
    ['stop', 'leave']
  )
})

t.test('errors arrive as what they were', async t => {
  const { node, client } = await serve(t)
  node.refusal = new InvalidParametersError('--data names no folder')
  await t.rejects(client.submit(spec), { name: 'InvalidParametersError', message: '--data names no folder', exitCode: 2 })
  node.refusal = new OverloadedError('too many jobs')
  await t.rejects(client.submit(spec), { name: 'OverloadedError', retryable: true, overloaded: true })
  const missing = { name: 'NotFoundError', message: "no job is called 'nope/../x'" }
  await t.rejects(client.job('nope/../x'), missing)
  await t.rejects(all(client.follow('nope/../x')), missing, 'also in a stream')
  await t.rejects(all(client.file('nope/../x', 'model.onnx')), missing)
  await t.rejects(all(client.file('job-1', 'nope')), { name: 'NotFoundError' })
})

t.test('a follower sees events as they happen and can stop', async t => {
  const { node, client } = await serve(t, { events: goodRun().slice(0, 3) })
  await client.submit(spec)
  const controller = new AbortController()
  const seen: JobEvent[] = []
  await t.rejects(
    async () => {
      for await (const event of client.follow('job-1', { signal: controller.signal })) {
        seen.push(event)
        if (seen.length === 3) node.emit({ type: 'resumed', job: 'job-1' })
        if (seen.length === 4) controller.abort()
      }
    },
    { name: 'AbortedError' }
  )
  t.same(
    seen.map(event => event.type),
    ['state', 'generation', 'state', 'resumed']
  )
})

t.test('a node that goes away in the middle is told from one that was never there', async t => {
  const { server, client } = await serve(t, { events: goodRun().slice(0, 3) })
  await client.submit(spec)
  let events = 0
  await t.rejects(
    async () => {
      for await (const _ of client.follow('job-1')) if (++events === 3) void server.close()
    },
    { name: 'UnreachableError', message: /the node is closing/ }
  )
  await t.rejects(client.status(), { name: 'UnreachableError', message: /start one with mesh join/ })
})

t.test('a file that is cut short is no file', async t => {
  const { node, client } = await serve(t, { files: goodFiles })
  await client.submit(spec)
  node.file = async function* () {
    yield Buffer.alloc(100_000)
    throw new Error('the disk failed')
  }
  await t.rejects(all(client.file('job-1', 'model.onnx')), { name: 'UnreachableError' })
})

t.test('requests that are none are refused and harm nothing', async t => {
  const { server, client } = await serve(t)
  t.match(await raw(server.path, 'GET', '/v9/status'), { status: 500, body: { error: { name: 'VersionError' } } })
  t.match(await raw(server.path, 'GET', '/v1/nothing'), { status: 404, body: { error: { name: 'NotFoundError' } } })
  t.match(await raw(server.path, 'DELETE', '/v1/jobs'), { status: 404 })
  t.match(await raw(server.path, 'GET', '/v1/jobs/%zz'), { status: 500 })
  t.match(await raw(server.path, 'POST', '/v1/jobs', '[1'), { status: 400, body: { error: { name: 'InvalidParametersError' } } })
  t.match(await raw(server.path, 'POST', '/v1/invite', '{"ttl":"1"}'), { status: 400 })
  t.match(await raw(server.path, 'POST', '/v1/jobs', ' '.repeat(MAX_REQUEST + 1)), {
    status: 400,
    body: { error: { name: 'TooLargeError' } }
  })
  t.match(await raw(server.path, 'GET', '/v1/jobs/job-1/events?from=-1'), { status: 400 })
  t.same(await client.ping(), { pid: process.pid })
})

t.test('an answer that is not of this protocol is one clear error', async t => {
  const path = join(folder(t), 'control.sock')
  const server = createServer((_, response) => response.end('<html>'))
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => server.close())
  await t.rejects(new ControlClient(path).status(), { name: 'MalformedError', message: /not JSON/ })
})

t.test('the first node that answers is found; sockets of dead processes are passed over', async t => {
  const base = folder(t)
  t.equal(await findNode({ base: join(base, 'absent') }), undefined)
  await t.rejects(requireNode({ base }), { name: 'NotFoundError', message: /mesh join/ })

  mkdirSync(join(base, 'node'))
  writeFileSync(join(base, 'node', 'control.sock'), '')
  const start = async (name: string) => {
    const node = new FakeNode({ stateDir: join(base, name) })
    const server = await serveControl({ folder: node.stateDir, service: node })
    t.teardown(() => server.close())
    return server
  }
  await start('embedded-1')
  t.match(await findNode({ base }), { name: 'embedded-1' })
  t.equal(await findNode({ base, embedded: false }), undefined)
  await start('node-10')
  const second = await start('node-2')
  t.match(await findNode({ base }), { name: 'node-2', folder: join(base, 'node-2') })
  t.match(await findNode({ base, node: 'node-10' }), { name: 'node-10' })
  t.match(await findNode({ base, node: join(base, 'node-10') }), { name: 'node-10' })
  await t.rejects(findNode({ base, node: 'node' }), { name: 'NotFoundError', message: /no node called 'node' runs.*node-10/ })
  await second.close()
  t.match(await findNode({ base }), { name: 'node-10' })
})

t.test('a mesh inside a command is found beside the nodes, and cleans up after those that were killed', async t => {
  const base = folder(t)
  const service = new FakeNode({ stateDir: join(base, 'node') })
  mkdirSync(join(base, 'embedded-1'))
  writeFileSync(join(base, 'embedded-1', 'control.sock'), '')
  mkdirSync(join(base, 'embedded-2'))
  const alive = await serveControl({ folder: join(base, 'embedded-2'), service })
  t.teardown(() => alive.close())
  const server = await serveEmbedded(base, service)
  t.same(readdirSync(base).sort(), ['embedded-2', `embedded-${process.pid}`, 'node'].sort())
  t.same(await new ControlClient(server.path).ping(), { pid: process.pid })
  await server.close()
  t.same(readdirSync(base).sort(), ['embedded-2', 'node'])
})

t.test('a stale socket is replaced, and closing removes it', async t => {
  const stateDir = folder(t)
  writeFileSync(join(stateDir, 'control.sock'), '')
  const server = await serveControl({ folder: stateDir, service: new FakeNode({ stateDir }) })
  t.ok(statSync(server.path).isSocket())
  await server.close()
  t.throws(() => statSync(server.path), { code: 'ENOENT' })
})

t.test('a path too long for a socket is refused in words', async t => {
  t.throws(() => socketPath(`/${'x'.repeat(120)}`), { name: 'InvalidParametersError', message: /too long for its control socket/ })
})

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function raw(socketPath: string, method: string, path: string, body?: string): Promise<{ status: number; body: any }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path }, async response => {
      const chunks = await all(response as AsyncIterable<Buffer>)
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}
