import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { newKey, parseInvite, writeKeyFile } from '../../mesh/admission/index.ts'
import { createInvite } from '../../mesh/admission/invite.ts'
import { createHost, createIdentity, openState, savedAuthority, startMesh } from '../../mesh/index.ts'
import { failure, folder, loopback, node, recorder, together, until } from './fixtures.ts'

const none = new Uint8Array(0)
const stateOf = (n: { mesh: { members(): { peer: string; state: string }[] } }, peer: string) =>
  n.mesh.members().find(m => m.peer === peer)?.state

t.test('one joins through the founder, one through the joiner, and one when the founder is gone', async t => {
  const a = await node(t)
  t.equal(a.mesh.source, 'founded')
  const b = await node(t, { invite: a.mesh.invite() })
  t.equal(b.mesh.source, 'invite')
  t.equal(b.mesh.name, a.mesh.name)
  await together(a, b)
  const c = await node(t, { invite: b.mesh.invite() })
  await together(a, b, c)
  const invite = c.mesh.invite()
  const byFounder = a.mesh.invite()
  await a.end()
  const d = await node(t, { invite })
  await together(b, c, d)
  // The founder's own invites name other members too, and any of them honours it.
  t.ok(parseInvite(byFounder, Date.now()).addresses.length > 1)
  const e = await node(t, { invite: byFounder })
  await together(b, c, d, e)
})

t.test('members ask each other, and see what each has', async t => {
  const a = await node(t, { labels: { rack: '7' } })
  const b = await node(t, {
    invite: a.mesh.invite(),
    devices: [{ id: 'cpu:0', kind: 'cpu', name: 'slow', providers: ['cpu'] }],
    prepare: mesh => void mesh.handle('/test/echo/1.0.0', request => request)
  })
  await together(a, b)
  t.same(await a.mesh.request(b.mesh.peer, '/test/echo/1.0.0', new Uint8Array([1])), new Uint8Array([1]))
  await until(
    () => a.mesh.capabilities(b.mesh.peer) !== undefined && b.mesh.capabilities(a.mesh.peer) !== undefined,
    'both know what the other has'
  )
  t.match(a.mesh.capabilities(b.mesh.peer), {
    peer: b.mesh.peer,
    devices: [{ id: 'cpu:0', name: 'slow' }],
    fabrics: [{ kind: 'tcp' }],
    free: ['cpu:0']
  })
  t.same(b.mesh.capabilities(a.mesh.peer)!.labels, { rack: '7' })
  b.mesh.publishCapabilities({ free: [] })
  t.same(b.mesh.capabilities(b.mesh.peer)!.free, [])
  await until(() => a.mesh.capabilities(b.mesh.peer)!.free.length === 0, 'the change is known')
  t.equal(a.mesh.capabilities('nobody'), undefined)
  a.mesh.records.put('motto', 'x', new Uint8Array([1]))
  await until(() => b.mesh.records.get('motto', 'x') !== undefined, 'a record is on the other node')
})

t.test('some decide on one value', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  const c = await node(t, { invite: a.mesh.invite() })
  await together(a, b, c)
  const voters = [a, b, c].map(n => n.mesh.peer)
  const outcomes = await Promise.all(
    [a, b, c].map((n, i) => n.mesh.agreement.propose('key', { voters, choose: () => new Uint8Array([i]) }))
  )
  t.equal(new Set(outcomes.map(o => o.value[0])).size, 1)
  await c.end()
  await until(() => a.mesh.alive().length === 2, 'one is dead')
  const after = await a.mesh.agreement.propose('key/2', { voters, alive: () => a.mesh.alive(), choose: () => new Uint8Array([9]) })
  t.equal(after.value[0], 9)
  t.same((await b.mesh.agreement.learn('key/2', voters))?.value, new Uint8Array([9]))
})

t.test('a restarted node is who it was and finds its mesh through any survivor', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  const c = await node(t, { invite: a.mesh.invite() })
  await together(a, b, c)
  await a.mesh.agreement.propose('kept', { voters: [a.mesh.peer], choose: () => new Uint8Array([5]) })
  await a.end()
  await c.end()
  await until(() => b.mesh.alive().length === 1, 'both are seen dead')
  const again = await node(t, { directory: a.directory })
  t.equal(again.mesh.peer, a.mesh.peer)
  t.equal(again.mesh.name, a.mesh.name)
  t.equal(again.mesh.source, 'saved')
  await together(again, b)
  t.same(again.mesh.agreement.decided('kept')?.value, new Uint8Array([5]))
  const third = await node(t, { directory: c.directory })
  await together(again, b, third)
})

t.test('survivors reach a node that comes back at the same address and knows nobody', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  await together(a, b)
  const [listen] = a.mesh.addresses()[0]!.split('/p2p/')
  await a.end()
  await until(() => b.mesh.alive().length === 1, 'it is seen dead')
  const state = openState(a.directory)
  const remembered = state.kv(`addresses/${a.mesh.name}`)
  for (const [peer] of remembered.entries()) remembered.delete(peer)
  state.close()
  const again = await node(t, { directory: a.directory, listen: [listen!] })
  await together(again, b)
  t.equal(again.mesh.peer, a.mesh.peer)
})

t.test('a lost connection is made again', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  await together(a, b)
  for (const connection of a.mesh.host.libp2p.getConnections()) connection.abort(new Error('the cable is cut'))
  await until(() => a.mesh.connected().length === 1 && b.mesh.connected().length === 1, 'they are connected again')
  t.same(a.mesh.alive(), b.mesh.alive())
})

t.test('nodes with the same key file form one mesh, whoever is first', async t => {
  const keyFile = join(folder(t), 'mesh.key')
  writeKeyFile(keyFile)
  // Each is told of the next before any has an address, as in one command for all machines.
  const ports = await freePorts(3)
  const addresses = ports.map(port => `/ip4/127.0.0.1/tcp/${port}`)
  const nodes = await Promise.all(addresses.map((address, i) => node(t, { keyFile, listen: [address], peers: [addresses[(i + 1) % 3]!] })))
  t.equal(new Set(nodes.map(n => n.mesh.name)).size, 1)
  t.same(
    nodes.map(n => n.mesh.source),
    ['key', 'key', 'key']
  )
  await together(...nodes)

  const other = join(folder(t), 'other.key')
  writeFileSync(other, newKey())
  const stranger = await node(t, { keyFile: other })
  t.not(stranger.mesh.name, nodes[0]!.mesh.name)
})

t.test('the saved membership comes before a key file, an invite before both', async t => {
  const keyFile = join(folder(t), 'mesh.key')
  writeKeyFile(keyFile)
  const [a, b] = [await node(t), await node(t)]
  const member = await node(t, { invite: a.mesh.invite() })
  await member.end()
  const again = await node(t, { directory: member.directory, keyFile })
  t.equal(again.mesh.name, a.mesh.name)
  t.match(again.mesh.warnings[0], /member of mesh \w+; run 'mesh leave'/)
  await again.end()
  const invited = await node(t, { directory: member.directory, invite: b.mesh.invite() })
  t.equal(invited.mesh.name, b.mesh.name)
  t.match(invited.mesh.warnings[0], /is given up/)
  await invited.end()
  // To a member an invite of its own mesh only says where the others are, even when it has expired.
  const old = createInvite(
    b.mesh.host.authority.identity,
    b.mesh.host.authority.chain()!,
    b.mesh.addresses(),
    Date.now() - 7_200_000,
    3_600_000
  )
  const back = await node(t, { directory: member.directory, invite: old })
  t.equal(back.mesh.source, 'saved')
  await together(b, back)
})

t.test('a wrong, malformed or expired invite gets one line, on the other side too', async t => {
  const logger = recorder()
  const a = await node(t, { logger })
  const b = await node(t)
  const expired = createInvite(
    a.mesh.host.authority.identity,
    a.mesh.host.authority.chain()!,
    a.mesh.addresses(),
    Date.now() - 7_200_000,
    3_600_000
  )
  const refused = async (invite: string) => {
    const error = await failure(node(t, { invite }))
    t.match(error, { name: 'AdmissionError', exitCode: 2 })
    t.notMatch(error.message, /\n/)
    return error.message
  }
  t.match(await refused(expired), /^the invite expired 1 hour ago/)
  t.match(await refused('gm1nonsense'), /^the invite is malformed/)
  t.match(await refused('nonsense'), /^the invite is malformed/)

  // The mesh named in it is not that of the node at its address.
  const elsewhere = createInvite(b.mesh.host.authority.identity, b.mesh.host.authority.chain()!, a.mesh.addresses(), Date.now(), 3_600_000)
  t.match(await refused(elsewhere), new RegExp(`refused this node: mesh ${b.mesh.name} was asked for, this is mesh ${a.mesh.name}`))
  await until(() => logger.lines.some(line => /^warn refused 12D3\w+: mesh \w+ was asked for/.test(line)), 'the member says so too')

  // The joiner's clock is behind, so that only the member sees that the invite has expired.
  const lagging = await failure(node(t, { invite: expired, wallClock: () => Date.now() - 7_200_000 }))
  t.match(lagging, { name: 'AdmissionError', message: /refused this node: the invite expired 1 hour ago/ })
  await until(() => logger.lines.some(line => /^warn refused 12D3\w+: the invite expired/.test(line)), 'the member says so too')
})

t.test('a joiner says where it looked when nobody answers, and a peer without an invite is no way in', async t => {
  const a = await node(t)
  const invite = a.mesh.invite()
  const address = a.mesh.addresses()[0]!
  await a.end()
  t.match(await failure(node(t, { invite })), {
    name: 'UnreachableError',
    message: new RegExp(`no member answers at the invite's addresses .*${address}`)
  })
  t.match(await failure(node(t, { peers: [address] })), { name: 'AdmissionError', message: /join it with --invite/ })
})

t.test('what cannot be listened on is named', async t => {
  const a = await node(t)
  const [listen] = a.mesh.addresses()[0]!.split('/p2p/')
  t.match(await failure(node(t, { listen: [listen!] })), { name: 'InUseError', exitCode: 2, message: new RegExp(`${listen} is in use`) })
  t.match(await failure(node(t, { listen: ['127.0.0.1:4001'] })), {
    name: 'InvalidParametersError',
    message: /'127\.0\.0\.1:4001' is not a multiaddr/
  })
  t.match(await failure(node(t, { listen: ['/ip4/203.0.113.7/tcp/0'] })), { name: 'InvalidParametersError', message: /cannot listen on/ })
  t.match(await failure(node(t, { peers: ['nonsense'], invite: a.mesh.invite() })), {
    name: 'InvalidParametersError',
    message: /'nonsense' is not a multiaddr/
  })
})

t.test('starting and leaving can be aborted', async t => {
  const state = openState(folder(t))
  t.teardown(() => state.close())
  t.match(await failure(startMesh({ state, listen: loopback }, { signal: AbortSignal.abort() })), { name: 'AbortedError' })
  const a = await node(t)
  t.match(await failure(a.mesh.leave({ signal: AbortSignal.abort() })), { name: 'AbortedError' })
})

t.test('a node that leaves is seen to have left, and founds anew when it starts again', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  const c = await node(t, { invite: a.mesh.invite() })
  await together(a, b, c)
  const changes: string[] = []
  a.mesh.onMembers(({ change, member }) => changes.push(`${change} ${member.peer}`))
  await c.mesh.leave()
  await c.end()
  await until(() => [a, b].every(n => stateOf(n, c.mesh.peer) === 'left'), 'both know that it left')
  t.same(
    changes.filter(change => /^(left|dead)/.test(change)),
    [`left ${c.mesh.peer}`]
  )
  const again = await node(t, { directory: c.directory })
  t.equal(again.mesh.source, 'founded')
  t.equal(again.mesh.peer, c.mesh.peer)
  await again.mesh.leave()
  await again.end()
  const back = await node(t, { directory: c.directory, invite: b.mesh.invite() })
  await together(a, b, back)
})

t.test('a revoked node is put out by all, is told so, and stays out after restarts', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  const c = await node(t, { invite: a.mesh.invite() })
  await together(a, b, c)
  b.mesh.revoke(c.mesh.peer)
  t.match(await c.mesh.removed, { name: 'AdmissionError', message: `this node was removed from the mesh by ${b.mesh.peer}` })
  await until(() => [a, b].every(n => !n.mesh.connected().includes(c.mesh.peer)), 'nobody is connected to it')
  await until(() => [a, b].every(n => !n.mesh.alive().includes(c.mesh.peer)), 'nobody takes it for alive')
  t.equal(b.mesh.capabilities(c.mesh.peer), undefined)
  await a.end()
  const again = await node(t, { directory: a.directory })
  await together(again, b)
  t.match(await failure(c.mesh.host.connect(again.mesh.peer, again.mesh.addresses())), { name: 'AdmissionError', message: /was revoked/ })
})

t.test('trainers of a mesh reach each other and nobody else', async t => {
  const a = await node(t)
  const b = await node(t, { invite: a.mesh.invite() })
  const other = await node(t)
  const trainer = async (mesh: typeof a.mesh) => {
    const identity = createIdentity()
    const host = await createHost({ authority: savedAuthority(identity, mesh.name, mesh.certifyTrainer(identity.peer)), listen: loopback })
    t.teardown(() => host.stop())
    return host
  }
  const [one, two, foreign] = [await trainer(a.mesh), await trainer(b.mesh), await trainer(other.mesh)]
  await one.connect(two.peer, two.addresses())
  await until(() => two.connection(one.peer) !== undefined, 'the trainers are connected')
  t.match(await failure(foreign.connect(one.peer, one.addresses())), { name: 'AdmissionError' })
  t.match(await failure(one.connect(other.mesh.peer, other.mesh.addresses())), { name: 'AdmissionError' })
  t.not(a.mesh.alive().includes(one.peer), true, 'a trainer is no member')
})

t.test('a handler that is registered in `prepare` is there for the first request', async t => {
  const a = await node(t)
  let early = 0
  const joined = Promise.withResolvers<Error | undefined>()
  a.mesh.onMembers(({ change, member }) => {
    if (change === 'joined') a.mesh.request(member.peer, '/test/first/1.0.0', none).then(() => joined.resolve(undefined), joined.resolve)
  })
  await node(t, {
    invite: a.mesh.invite(),
    prepare: async mesh => {
      await new Promise(resolve => setImmediate(resolve))
      mesh.handle('/test/first/1.0.0', () => {
        early++
        return none
      })
    }
  })
  t.equal(await joined.promise, undefined)
  t.equal(early, 1)
})

async function freePorts(n: number): Promise<number[]> {
  const { createServer } = await import('node:net')
  const servers = await Promise.all(
    Array.from(
      { length: n },
      () =>
        new Promise<ReturnType<typeof createServer>>(resolve => {
          const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
        })
    )
  )
  const ports = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
