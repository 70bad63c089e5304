import t from 'tap'
import { type Clock, createRng, silentLogger } from '../../common/index.ts'
import { type Authority, createAuthority, foundMesh, parseInvite } from '../../mesh/admission/index.ts'
import { createControl } from '../../mesh/control/index.ts'
import { createIdentity } from '../../mesh/identity/index.ts'
import { startRenewal } from '../../mesh/renewal.ts'
import { failure, host, newAuthority, until } from './fixtures.ts'

const DAY = 86_400_000

function joined(founder: Authority, wallClock: () => number): Authority {
  const invite = parseInvite(founder.invite([]), wallClock())
  const joiner = createAuthority({ identity: createIdentity(), mesh: founder.mesh, invite, wallClock })
  const { grant, proof } = joiner.credentials().claim!
  joiner.adopt(founder.admit(grant, proof, joiner.identity.peer).bytes)
  return joiner
}

t.test('a node that runs on asks for a fresh certificate before its own expires', async t => {
  let now = Date.now()
  const wallClock = () => now
  const founder = foundMesh(createIdentity(), wallClock)
  const [a, b] = [await host(t, founder), await host(t, joined(founder, wallClock))]
  await b.connect(a.peer, a.addresses())
  await until(() => a.connection(b.peer) !== undefined, 'both have the connection')
  const due: (() => void)[] = []
  const clock: Clock = {
    now: () => now,
    setTimer(_, callback) {
      due.push(callback)
      return () => {}
    }
  }
  for (const one of [a, b]) {
    const control = await createControl({ host: one })
    const stop = startRenewal({
      authority: one.authority,
      control,
      host: one,
      clock,
      random: createRng(1),
      wallClock,
      logger: silentLogger
    })
    t.teardown(stop)
  }
  const before = b.authority.chain()!.leaf.expiry
  for (const check of due.splice(0)) check()
  now += 200 * DAY
  for (const check of due.splice(0)) check()
  await until(() => b.authority.chain()!.leaf.expiry > before, 'it has a new one')
  t.equal(founder.verify(b.authority.chain()!.bytes, b.peer).leaf.peer, b.peer)
})

t.test('a certificate past half its life is renewed by the next connection', async t => {
  let now = Date.now()
  const wallClock = () => now
  const founder = foundMesh(createIdentity(), wallClock)
  const member = joined(founder, wallClock)
  const before = member.chain()!.leaf.expiry
  now += 200 * DAY
  const [a, b] = [await host(t, founder), await host(t, member)]
  await b.connect(a.peer, a.addresses())
  t.ok(b.authority.chain()!.leaf.expiry > before)
})

t.test('who connects while a node is starting waits until it can answer', async t => {
  const founder = newAuthority()
  const ready = Promise.withResolvers<void>()
  const a = await host(t, founder, { hold: ready.promise })
  const b = await host(t, joined(founder, Date.now))
  let connected = false
  const connecting = b.connect(a.peer, a.addresses()).then(() => {
    connected = true
  })
  await until(() => a.libp2p.getConnections().length === 1, 'the connection is there')
  t.equal(connected, false)
  ready.resolve()
  await connecting
  t.equal(connected, true)

  const never = await host(t, joined(founder, Date.now), { hold: new Promise(() => {}), limits: { time: 200 } })
  t.match(await failure(b.connect(never.peer, never.addresses())), { name: 'UnreachableError', retryable: true })
})
