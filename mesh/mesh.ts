import { decode, encode } from '@ipld/dag-cbor'
import { AbortedError, AdmissionError, createRng, silentLogger, systemClock } from '../common/index.ts'
import type { Authority } from './admission/index.ts'
import { AGREEMENT_PROTOCOL, createAgreement } from './agreement/index.ts'
import { createCapabilityBoard } from './capabilities/index.ts'
import { Connections } from './connections.ts'
import { createControl } from './control/index.ts'
import { checkAddress, createHost } from './host.ts'
import { loadIdentity, verifySignature } from './identity/index.ts'
import { announced, firstContact, joinByInvite } from './joining.ts'
import { createMembership, MEMBERSHIP_PROTOCOL } from './membership/index.ts'
import type { Mesh, MeshInit } from './mesh-types.ts'
import { createRecords } from './records/index.ts'
import { reportRefusals } from './refusals.ts'
import { startRenewal } from './renewal.ts'
import { createRevocations } from './revocation.ts'
import { forgetStanding, saveStanding, takeStanding } from './standing.ts'

const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/0']
/** How long a leave may take to be on its way, ms. */
const LEAVE_TIME = 2000
/** Members that are waited for. */
const LEAVE_WITNESSES = 8
const GOODBYE_PROTOCOL = '/gradmesh/goodbye/1.0.0'
/** Multiaddrs in an invite. */
const INVITE_ADDRESSES = 12

/**
 * Starts a node and finds its mesh: by an invite, the membership it saved, or a shared key file; else it founds a new one.
 *
 * @throws AdmissionError when the invite is malformed, expired or refused, or the saved membership is not valid any more
 * @throws UnreachableError when a joiner reaches no member
 * @throws InUseError when a listening address is taken
 */
export async function startMesh(init: MeshInit, options: { signal?: AbortSignal } = {}): Promise<Mesh> {
  const { state } = init
  const { signal } = options
  const logger = (init.logger ?? silentLogger).child('mesh')
  const wallClock = init.wallClock ?? Date.now
  const membershipKv = state.kv('membership')
  const identity = loadIdentity(state.kv('identity'))
  const invite = init.invite ?? process.env['GRADMESH_INVITE']
  const standing = takeStanding({ identity, membership: membershipKv, invite, keyFile: init.keyFile, logger, wallClock })
  const peers = init.peers ?? []
  if (standing.source === 'founded' && peers.length > 0) {
    throw new AdmissionError(
      `${peers[0]} is of a mesh that this node is no member of; join it with --invite (a member prints one: mesh invite)`
    )
  }
  for (const address of peers) checkAddress(address)
  const warnings = [...standing.warnings]
  for (const warning of warnings) logger.warn(warning)
  const warn = (line: string) => {
    if (warnings.includes(line) || warnings.length >= 100) return
    warnings.push(line)
    logger.warn(line)
  }

  const authority = saving(standing.authority, () => saveStanding(membershipKv, authority))
  const ready = Promise.withResolvers<void>()
  const host = await createHost({ authority, listen: init.listen ?? DEFAULT_LISTEN, mdns: init.mdns ?? true, logger, hold: ready.promise })
  const undo: (() => void | Promise<void>)[] = [() => host.stop()]
  const stopAll = async () => {
    for (const stop of undo.splice(0).reverse()) await stop()
  }
  try {
    reportRefusals(host, logger, wallClock, other => {
      if (standing.source === 'founded')
        warn(`another mesh (${other}) is on this network; to join it instead, run 'mesh leave' and join with an invite of it`)
    })
    if (signal?.aborted) throw new AbortedError('starting the node was aborted')
    if (standing.source === 'invite') await joinByInvite(host, standing, peers, signal)
    saveStanding(membershipKv, authority)
    return await run()
  } catch (error) {
    await stopAll()
    throw error
  }

  async function run(): Promise<Mesh> {
    const random = createRng(`${identity.peer}/${state.boot}/${wallClock()}`)
    const clock = systemClock
    const store = (name: string) => state.kv(`${name}/${authority.mesh}`)
    const address = (peer: string) => membership.member(peer)?.addresses ?? []

    const connections = new Connections({
      host,
      clock,
      random: random.fork('connections'),
      logger,
      remembered: store('addresses'),
      peers: [...peers, ...standing.addresses],
      wanted: () => membership.members().filter(m => m.peer !== identity.peer && (m.state === 'alive' || m.state === 'suspect'))
    })
    const send = (protocol: string) => (peer: string, bytes: Uint8Array) =>
      connections.whenConnected(peer, address(peer), () => control.notify(peer, protocol, bytes))

    const control = await createControl({ host, addresses: address, logger })
    undo.push(() => control.stop())
    control.handle(GOODBYE_PROTOCOL, () => new Uint8Array(0))

    const membership = createMembership({
      self: identity.peer,
      epoch: nextEpoch(store('life'), wallClock()),
      addresses: announced(host),
      settings: init.membership,
      logger: logger.child('membership'),
      ports: {
        clock,
        random: random.fork('membership'),
        send: send(MEMBERSHIP_PROTOCOL),
        reconnect: (peer, addresses) => connections.offer(peer, addresses),
        sign: bytes => identity.sign(bytes),
        verify: (peer, bytes, signature) => verifySignature(peer, bytes, signature)
      }
    })
    const readdressed = () => {
      const [known, current] = [membership.member(identity.peer)?.addresses ?? [], announced(host)]
      if (current.slice(0, known.length).join() !== known.join()) membership.setAddresses(current)
    }
    host.libp2p.addEventListener('self:peer:update', readdressed)
    undo.push(() => host.libp2p.removeEventListener('self:peer:update', readdressed))
    undo.push(() => membership.stop())
    control.onNotify(MEMBERSHIP_PROTOCOL, (from, bytes) => membership.receive(from, bytes))

    const registers = store('agreement')
    const agreement = await createAgreement({
      self: identity.peer,
      logger: logger.child('agreement'),
      ports: {
        clock,
        random: random.fork('agreement'),
        send: send(AGREEMENT_PROTOCOL),
        store: {
          load: () => registers.entries(),
          persist: async (key, value) => registers.put(key, value),
          remove: async key => registers.delete(key)
        }
      }
    })
    undo.push(() => agreement.stop())
    control.onNotify(AGREEMENT_PROTOCOL, (from, bytes) => agreement.receive(from, bytes))

    const isNode = (peer: string) => membership.member(peer) !== undefined && host.connection(peer) !== undefined
    const records = createRecords({
      authority,
      control,
      peers: () => host.peers().filter(isNode),
      clock,
      random: random.fork('records'),
      wallClock,
      kv: store('records'),
      logger
    })
    undo.push(() => records.stop())

    // Kept by every node: a job outlives the node that took it, and a restart of the whole mesh.
    records.define('job', { owner: 'first', kept: true })
    records.define('job-control', { owner: 'any', kept: true })
    records.define('job-files', { owner: 'any', kept: true })
    const revocations = createRevocations({ records, authority, host, clock, wallClock })
    undo.push(() => revocations.stop())
    undo.push(startRenewal({ authority, control, host, clock, random: random.fork('renewal'), wallClock, logger }))

    const board = createCapabilityBoard({
      records,
      clock,
      logger,
      own: {
        peer: identity.peer,
        node: state.name,
        devices: init.devices ?? [],
        fabrics: init.fabrics ?? [{ kind: 'tcp', device: 'tcp' }],
        labels: init.labels ?? {},
        free: (init.devices ?? []).map(d => d.id)
      }
    })
    undo.push(() => board.stop())

    const met = (peer: string) => {
      if (host.certificate(peer)?.leaf.role !== 'node') return
      membership.join([peer])
      records.compare(peer).catch(error => logger.debug(`records were not compared with ${peer}: ${(error as Error).message}`))
    }
    undo.push(
      host.onPeer((peer, connected) => {
        if (connected) met(peer)
        else {
          membership.hint(peer)
          connections.check()
        }
      }),
      membership.onChange(({ change, member }) => {
        if (member.peer === identity.peer) return
        if (change === 'left' || change === 'forgotten') connections.forget(member.peer)
        else if (member.state === 'alive') connections.remember(member.peer, member.addresses)
        // What was asked of it will not be answered. (Not so when this is the end of an earlier life: then the next is here.)
        if (change === 'dead')
          clock.setTimer(0, () => membership.member(member.peer)?.state === 'dead' && void host.disconnect(member.peer))
        if (change === 'joined' || change === 'alive' || change === 'dead' || change === 'left') {
          logger.info(
            `${member.peer} ${change === 'joined' || change === 'alive' ? 'is a member' : `is ${change === 'left' ? 'gone: it left' : 'dead'}`}`
          )
          connections.check()
        }
      }),
      host.onDiscovered((peer, addresses) => connections.offer(peer, addresses))
    )

    let stopping: Promise<void> | undefined
    const stop = () => (stopping ??= stopAll())
    const mesh: Mesh = {
      peer: identity.peer,
      name: authority.mesh,
      source: standing.source,
      host,
      membership,
      agreement,
      records,
      warnings,
      removed: revocations.removed,
      handle: control.handle,
      handleStream: control.handleStream,
      onNotify: control.onNotify,
      request: control.request,
      stream: control.stream,
      notify(peer, protocol, message) {
        if (peer === identity.peer || host.connection(peer) !== undefined) return control.notify(peer, protocol, message)
        return connections.whenConnected(peer, address(peer), () => control.notify(peer, protocol, message))
      },
      addresses: () => host.addresses(),
      members: () => membership.members(),
      alive: () => membership.alive(),
      connected: () => host.peers().filter(isNode),
      onMembers: callback => membership.onChange(callback),
      capabilities: peer => board.get(peer),
      publishCapabilities: update => board.publish(update),
      onCapabilities: callback => board.on(callback),
      invite: ({ ttl } = {}) => authority.invite(inviteAddresses(), ttl),
      certifyTrainer: peer => authority.certifyTrainer(peer),
      revoke: peer => revocations.revoke(peer),
      async leave(options = {}) {
        if (options.signal?.aborted) throw new AbortedError('leaving was aborted')
        // A leave goes to the members that we know: one that has just joined waits to know those it is connected to.
        const strangers = () =>
          host.peers().some(peer => host.certificate(peer)?.leaf.role === 'node' && membership.member(peer) === undefined)
        for (let waited = 0; strangers() && waited < LEAVE_TIME; waited += 20) await new Promise(resolve => setTimeout(resolve, 20))
        await membership.leave()
        await control.flush({ signal: AbortSignal.timeout(LEAVE_TIME) })
        // A reply proves that what went before it on the same connection has arrived, which the end of the connection might cut off.
        const told = host.peers().filter(isNode).slice(0, LEAVE_WITNESSES)
        await Promise.allSettled(told.map(peer => control.request(peer, GOODBYE_PROTOCOL, new Uint8Array(0), { deadline: LEAVE_TIME })))
        forgetStanding(membershipKv)
        for (const { peer } of connections.remembered()) connections.forget(peer)
        await stop()
      },
      stop
    }
    await init.prepare?.(mesh)
    ready.resolve()
    membership.start()
    for (const peer of host.peers()) met(peer)
    connections.start()
    undo.push(() => connections.stop())
    if (standing.source !== 'founded')
      await firstContact(host, [...peers, ...standing.addresses], connections.remembered().length > 0, signal)
    return mesh

    /** Our own addresses, then one of each of some others: the invite serves when we are gone. */
    function inviteAddresses(): string[] {
      const own = announced(host)
      const others = membership.members().filter(m => m.peer !== identity.peer && m.state === 'alive' && m.addresses.length > 0)
      return [...own.slice(0, 4), ...others.map(m => m.addresses[0]!)].slice(0, INVITE_ADDRESSES)
    }
  }
}

/** `authority`, calling `save` whenever a member renews our certificate. */
function saving(authority: Authority, save: () => void): Authority {
  return {
    ...authority,
    adopt(bytes) {
      authority.adopt(bytes)
      save()
    }
  }
}

/** A life's number is above those of all lives before, also when the clock was set back. */
function nextEpoch(life: { get(key: string): Uint8Array | undefined; put(key: string, value: Uint8Array): void }, now: number): number {
  const last = life.get('epoch')
  const epoch = Math.max(Math.floor(now), last === undefined ? 0 : (decode(last) as number) + 1)
  life.put('epoch', encode(epoch))
  return epoch
}
