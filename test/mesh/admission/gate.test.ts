import net from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import t from 'tap'
import { ADMISSION_PROTOCOL, createAuthority, parseInvite, savedAuthority } from '../../../mesh/admission/index.ts'
import { Hello, Verdict } from '../../../mesh/admission/pb/admission.ts'
import { createControl } from '../../../mesh/control/index.ts'
import type { Host } from '../../../mesh/host.ts'
import { createIdentity } from '../../../mesh/identity/index.ts'
import { admittedBy, failure, host, loopback, newAuthority, pair, until } from '../fixtures.ts'

/** A libp2p node that knows nothing of admission. */
async function stranger(t: { teardown(callback: () => unknown): void }) {
  const node = await createLibp2p({
    addresses: { listen: loopback },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() }
  })
  t.teardown(() => node.stop())
  return node
}

const addressOf = (host: Host) => multiaddr(host.addresses()[0]!)

t.test('a stranger is answered nothing: no identify, no ping, no control, no bulk', async t => {
  const member = await host(t, newAuthority())
  const control = await createControl({ host: member })
  let asked = false
  control.handle('/test/echo/1.0.0', request => {
    asked = true
    return request
  })
  control.onNotify('/test/note/1.0.0', () => {
    asked = true
  })
  const node = await stranger(t)
  const protocols = ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/gradmesh/request/1.0.0', '/gradmesh/stream/1.0.0', '/test/note/1.0.0']
  for (const protocol of protocols) {
    const stream = await node.dialProtocol(addressOf(member), protocol, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    if (stream === undefined) continue
    const lp = lpStream(stream)
    const outcome = await (async () => {
      await lp.write(new Uint8Array(32))
      return await lp.read({ signal: AbortSignal.timeout(20_000) })
    })().catch(error => error as Error)
    t.ok(outcome instanceof Error, `${protocol} is refused`)
    t.not((outcome as Error).name, 'TimeoutError', `${protocol} is refused at once`)
  }
  await t.rejects(node.services.identify.identify(await node.dial(addressOf(member))), 'identify')
  await t.rejects(node.services.ping.ping(addressOf(member)), 'ping')
  t.equal(asked, false)
  t.same(member.peers(), [])
})

t.test('a member speaks nothing but admission to a stranger that it dialed', async t => {
  const member = await host(t, newAuthority(), { limits: { time: 500 } })
  const node = await stranger(t)
  const seen: string[] = []
  await node.handle('/gradmesh/request/1.0.0', () => void seen.push('request'))
  const address = node.getMultiaddrs()[0]!.toString()
  const error = await failure(member.connect(node.peerId.toString(), [address]))
  t.match(error, { name: 'UnreachableError', message: /did not finish admission/ })
  t.same(seen, [])
  t.equal(member.connection(node.peerId.toString()), undefined)
  await until(() => member.libp2p.getConnections().length === 0, 'the connection is closed')
})

t.test('admitted peers identify, ping and ask each other', async t => {
  const [a, b] = await pair(t)
  const [ca, cb] = [await createControl({ host: a }), await createControl({ host: b })]
  ca.handle('/test/who/1.0.0', (_, { from }) => new TextEncoder().encode(from))
  cb.handle('/test/who/1.0.0', (_, { from }) => new TextEncoder().encode(from))
  t.equal(new TextDecoder().decode(await cb.request(a.peer, '/test/who/1.0.0', new Uint8Array())), b.peer)
  t.equal(new TextDecoder().decode(await ca.request(b.peer, '/test/who/1.0.0', new Uint8Array())), a.peer)
  const services = (h: Host) =>
    h.libp2p.services as { ping: ReturnType<ReturnType<typeof ping>>; identify: ReturnType<ReturnType<typeof identify>> }
  t.type(await services(a).ping.ping(a.connection(b.peer)!.remotePeer), 'number')
  t.type(await services(b).ping.ping(b.connection(a.peer)!.remotePeer), 'number')
  t.equal((await services(b).identify.identify(b.connection(a.peer)!)).peerId.toString(), a.peer)
})

t.test('every stream of a protocol is handled once', async t => {
  const [a, b] = await pair(t)
  let handled = 0
  await b.handle('/test/once/1.0.0', stream => {
    handled++
    void stream.close()
  })
  for (let i = 1; i <= 5; i++) {
    const stream = await a.openStream(b.peer, '/test/once/1.0.0')
    await stream.close()
    await until(() => handled >= i, `stream ${i} is handled`)
  }
  t.equal(handled, 5)
})

t.test('a member of another mesh is refused, and both sides are told why', async t => {
  const [a, b] = [await host(t, newAuthority()), await host(t, newAuthority())]
  const refused: string[] = []
  a.onRefused((peer, error, direction) => refused.push(`${direction} ${peer} ${error.message}`))
  const error = await failure(b.connect(a.peer, a.addresses()))
  t.match(error, {
    name: 'AdmissionError',
    message: new RegExp(`refused this node: mesh ${b.authority.mesh} was asked for, this is mesh ${a.authority.mesh}`)
  })
  await until(() => refused.length > 0, 'the listener is told')
  t.match(refused[0], new RegExp(`^inbound ${b.peer} mesh ${b.authority.mesh} was asked for`))
  t.same([a.peers(), b.peers()], [[], []])
})

t.test('a forged certificate is refused by the dialer as by the listener', async t => {
  const real = newAuthority()
  const a = await host(t, real)
  // It says that it is of the same mesh, and shows a certificate of its own.
  const impostor = { ...newAuthority(), mesh: real.mesh }
  const b = await host(t, impostor)
  t.match(await failure(b.connect(a.peer, a.addresses())), { name: 'AdmissionError' })
  t.match(await failure(a.connect(b.peer, b.addresses())), { name: 'AdmissionError' })
  t.same([a.peers(), b.peers()], [[], []])
})

t.test('a joiner with an invite gets its certificate from the first member it reaches', async t => {
  const founder = newAuthority()
  const member = await host(t, admittedBy(founder))
  const invite = parseInvite(founder.invite([]), Date.now())
  const joiner = await host(t, createAuthority({ identity: createIdentity(), mesh: invite.mesh, invite }))
  t.equal(joiner.authority.chain(), undefined)
  await joiner.connect(member.peer, member.addresses())
  t.equal(joiner.authority.chain()!.leaf.issuer, member.peer)
  await until(() => member.connection(joiner.peer) !== undefined, 'the member has it too')
})

t.test('nobody is admitted by one that is itself joining, for now', async t => {
  const founder = newAuthority()
  const invite = parseInvite(founder.invite([]), Date.now())
  const joining = await host(t, createAuthority({ identity: createIdentity(), mesh: invite.mesh, invite }))
  const member = await host(t, founder)
  t.match(await failure(member.connect(joining.peer, joining.addresses())), { name: 'UnreachableError', message: /still joining/ })
})

t.test('a trainer is admitted to nodes and trainers of its mesh, and is known as one', async t => {
  const node = newAuthority()
  const make = () => {
    const identity = createIdentity()
    return host(t, savedAuthority(identity, node.mesh, node.certifyTrainer(identity.peer)))
  }
  const [a, b, n] = [await make(), await make(), await host(t, admittedBy(node))]
  await a.connect(b.peer, b.addresses())
  await a.connect(n.peer, n.addresses())
  await until(() => n.certificate(a.peer) !== undefined && b.certificate(a.peer) !== undefined, 'both know the trainer')
  t.equal(n.certificate(a.peer)!.leaf.role, 'trainer')
  t.equal(a.certificate(b.peer)!.leaf.issuer, node.identity.peer)
  const control = await createControl({ host: n })
  control.handle('/test/echo/1.0.0', request => request)
  const asker = await createControl({ host: a })
  await t.rejects(asker.request(n.peer, '/test/echo/1.0.0', new Uint8Array(1), { deadline: 20_000 }), {
    name: /OutcomeUnknownError|NotDeliveredError/
  })
  t.match(await failure((await host(t, newAuthority())).connect(a.peer, a.addresses())), { name: 'AdmissionError' })
})

t.test('a connection that says nothing is closed in time, also before Noise', async t => {
  const member = await host(t, newAuthority(), { limits: { time: 300 } })
  const { host: ip, port } = socketOf(member)
  const silent = net.connect(port, ip)
  silent.on('error', () => {})
  let closed = false
  silent.on('close', () => {
    closed = true
  })
  silent.resume()
  const node = await stranger(t)
  const connection = await node.dial(addressOf(member))
  await until(() => closed && connection.status !== 'open', 'both are closed')
  t.pass()
})

t.test('a connection that sends too much before admission is closed', async t => {
  const member = await host(t, newAuthority(), { limits: { bytes: 20_000, time: 60_000 } })
  const { host: ip, port } = socketOf(member)
  const socket = net.connect(port, ip)
  let closed = false
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  socket.resume()
  // Speaks Noise's negotiation as far as a length, then fills it.
  const node = await stranger(t)
  const connection = await node.dial(addressOf(member))
  const stream = await connection.newStream(ADMISSION_PROTOCOL)
  try {
    for (let i = 0; i < 100; i++) stream.send(new Uint8Array(1000).fill(0xff))
  } catch {
    // Reset already.
  }
  await until(() => connection.status !== 'open', 'the connection is closed')
  for (let i = 0; i < 100 && !closed; i++) socket.write(new Uint8Array(1000).fill(0x41))
  await until(() => closed, 'the raw one is closed')
  t.same(member.peers(), [])
})

t.test('only so many connections may wait for admission; a member still comes in after they are gone', async t => {
  const founder = newAuthority()
  const member = await host(t, founder, { limits: { connections: 4, time: 1000 } })
  const { host: ip, port } = socketOf(member)
  const sockets = Array.from({ length: 12 }, () => net.connect(port, ip))
  let closed = 0
  for (const socket of sockets) {
    socket.on('error', () => {})
    socket.on('close', () => {
      closed++
    })
    socket.resume()
  }
  await until(() => closed >= 8, 'those over the limit are closed')
  await until(() => closed === 12, 'the others are closed in time')
  const other = await host(t, admittedBy(founder))
  await until(async () => (await other.connect(member.peer, member.addresses()).catch(() => undefined)) !== undefined, 'a member gets in')
})

t.test('admission is hardened against what a peer may write', async t => {
  const member = await host(t, newAuthority())
  const big = new Uint8Array(11_000)
  const messages = [
    new Uint8Array(0),
    new Uint8Array([255, 255, 255]),
    Hello.encode({ mesh: member.authority.mesh }),
    Hello.encode({ mesh: 'x'.repeat(5000) }),
    Hello.encode({ mesh: member.authority.mesh, certificate: big }),
    Hello.encode({ mesh: member.authority.mesh, grant: big, proof: big }),
    Hello.encode({ mesh: member.authority.mesh, certificate: new Uint8Array(9000).fill(0x81) }),
    Hello.encode({ mesh: member.authority.mesh, grant: new Uint8Array([0x83, 0x40, 0x40, 0x40]), proof: new Uint8Array(64) })
  ]
  for (const message of messages) {
    const node = await stranger(t)
    const stream = await node.dialProtocol(addressOf(member), ADMISSION_PROTOCOL)
    const lp = lpStream(stream)
    await lp.write(message)
    const reply = await lp.read({ signal: AbortSignal.timeout(20_000) }).catch(() => undefined)
    if (reply !== undefined) t.equal(Verdict.decode(reply).accepted, false)
    await until(() => node.getConnections().length === 0, 'the connection is closed')
  }
  t.same(member.peers(), [])
})

function socketOf(host: Host): { host: string; port: number } {
  const [, , ip, , port] = host.addresses()[0]!.split('/')
  return { host: ip!, port: Number(port) }
}
