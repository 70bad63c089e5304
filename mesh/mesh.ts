import { decode, encode } from '@ipld/dag-cbor'
import {
  AbortedError,
  AdmissionError,
  createRng,
  GradmeshError,
  type Logger,
  silentLogger,
  systemClock,
  UnreachableError
} from '../common/index.ts'
import type { Authority } from './admission/index.ts'
import { AGREEMENT_PROTOCOL, createAgreement } from './agreement/index.ts'
import { createCapabilityBoard } from './capabilities/index.ts'
import { Connections, peerOf } from './connections.ts'
import { createControl } from './control/index.ts'
import { createHost, type Host } from './host.ts'
import { loadIdentity, verifySignature } from './identity/index.ts'
import { createMembership, MEMBERSHIP_PROTOCOL } from './membership/index.ts'
import type { Mesh, MeshInit } from './mesh-types.ts'
import { createRecords } from './records/index.ts'
import { forgetStanding, type Standing, saveStanding, takeStanding } from './standing.ts'

const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/0']
/** Kind of the records that say who was revoked; the key is the peer id. */
const REVOCATION = 'revocation'
/** What is told to a revoked peer still reaches it, ms. */
const REVOCATION_GRACE = 1000
const REVOCATION_TTL = 10 * 365 * 86_400_000
/** How long a joiner looks for members on the local network when those it knows do not answer, ms. */
const DISCOVERY_TIME = 6000
/** How long a start waits for a first connection, ms. */
const FIRST_CONTACT = 5000
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
  const warnings = [...standing.warnings]
  for (const warning of warnings) logger.warn(warning)
  const warn = (line: string) => {
    if (warnings.includes(line) || warnings.length >= 100) return
    warnings.push(line)
    logger.warn(line)
  }

  const authority = saving(standing.authority, () => saveStanding(membershipKv, authority))
  const host = await createHost({ authority, listen: init.listen ?? DEFAULT_LISTEN, mdns: init.mdns ?? true, logger })
  const undo: (() => void | Promise<void>)[] = [() => host.stop()]
  const stopAll = async () => {
    for (const stop of undo.splice(0).reverse()) await stop()
  }
  try {
    host.onRefused(refusalLog(logger, wallClock))
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

    const removal = Promise.withResolvers<Error>()
    records.define(REVOCATION, { owner: 'any', kept: true })
    records.define('job', { owner: 'first' })
    records.define('job-control', { owner: 'any' })
    const revoked = ({ key, payload, author }: { key: string; payload: Uint8Array; author: string }) => {
      const at = revocationTime(payload)
      if (at === undefined) return
      authority.revoke(key, at)
      if (key === identity.peer) removal.resolve(new AdmissionError(`this node was removed from the mesh by ${author}`))
      // Not at once: the same news is on its way to the peer itself, on the connection that ends.
      else undo.push(clock.setTimer(REVOCATION_GRACE, () => void host.disconnect(key)))
    }
    for (const record of records.list(REVOCATION)) revoked(record)
    records.on(REVOCATION, revoked)

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
        if (change === 'joined' || change === 'alive' || change === 'dead' || change === 'left') {
          logger.info(
            `${member.peer} ${change === 'joined' || change === 'alive' ? 'is a member' : `is ${change === 'left' ? 'gone: it left' : 'dead'}`}`
          )
          connections.check()
        }
      }),
      host.onDiscovered((peer, addresses) => connections.offer(peer, addresses)),
      host.onRefused((_peer, error, direction) => {
        const other = /this is mesh (\w+)/.exec(error.message)?.[1]
        if (direction !== 'outbound' || other === undefined) return
        warn(`another mesh (${other}) is on this network; to join it instead, run 'mesh leave' and join with an invite of it`)
      })
    )

    membership.start()
    for (const peer of host.peers()) met(peer)
    connections.start()
    undo.push(() => connections.stop())
    if (standing.source !== 'founded')
      await firstContact(host, [...peers, ...standing.addresses], connections.remembered().length > 0, signal)

    let stopping: Promise<void> | undefined
    const stop = () => (stopping ??= stopAll())
    return {
      peer: identity.peer,
      name: authority.mesh,
      source: standing.source,
      host,
      membership,
      agreement,
      records,
      warnings,
      removed: removal.promise,
      handle: control.handle,
      handleStream: control.handleStream,
      onNotify: control.onNotify,
      request: control.request,
      stream: control.stream,
      notify: control.notify,
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
      revoke(peer) {
        records.put(REVOCATION, peer, encode({ at: wallClock() }), { ttl: REVOCATION_TTL })
      },
      async leave() {
        await membership.leave()
        forgetStanding(membershipKv)
        for (const { peer } of connections.remembered()) connections.forget(peer)
        await stop()
      },
      stop
    }

    /** Our own addresses, then one of each of some others: the invite serves when we are gone. */
    function inviteAddresses(): string[] {
      const own = announced(host)
      const others = membership.members().filter(m => m.peer !== identity.peer && m.state === 'alive' && m.addresses.length > 0)
      return [...own.slice(0, 4), ...others.map(m => m.addresses[0]!)].slice(0, INVITE_ADDRESSES)
    }
  }
}

/** Says whom we refused and why, the same once a minute. */
function refusalLog(logger: Logger, wallClock: () => number): Parameters<Host['onRefused']>[0] {
  const said = new Map<string, number>()
  return (peer, error, direction) => {
    const line = `refused ${peer}: ${error.message}`
    const now = wallClock()
    if (direction === 'outbound' || now - (said.get(line) ?? Number.NEGATIVE_INFINITY) < 60_000) return
    if (said.size >= 256) said.clear()
    said.set(line, now)
    logger.warn(line)
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

/** Dials those that may admit us, one after another, then whoever is on the local network. */
async function joinByInvite(host: Host, standing: Standing, peers: string[], signal?: AbortSignal): Promise<void> {
  const failures: Error[] = []
  const discovered: { peer: string; addresses: string[] }[] = []
  const stopListening = host.onDiscovered((peer, addresses) => discovered.push({ peer, addresses }))
  try {
    for (const [peer, addresses] of groupByPeer([...peers, ...standing.addresses])) {
      if (await attempt(peer, addresses)) return
    }
    const end = performance.now() + (host.discovers ? DISCOVERY_TIME : 0)
    while (performance.now() < end) {
      const found = discovered.shift()
      if (found === undefined) await new Promise(resolve => setTimeout(resolve, 100))
      else if (await attempt(found.peer, found.addresses)) return
    }
  } finally {
    stopListening()
  }
  const refusal = failures.find(error => error instanceof AdmissionError)
  if (refusal !== undefined) throw refusal
  const tried = standing.addresses.join(', ') || 'none'
  throw new UnreachableError(`no member answers at the invite's addresses (${tried}); name one that runs with --peer`, {
    cause: failures[0]
  })

  async function attempt(peer: string | undefined, addresses: string[]): Promise<boolean> {
    if (signal?.aborted) throw new AbortedError('joining was aborted')
    try {
      await host.connect(peer, addresses, { signal })
    } catch (error) {
      if (error instanceof AbortedError) throw error
      failures.push(error instanceof GradmeshError ? error : new UnreachableError((error as Error).message, { cause: error }))
      return false
    }
    return host.authority.chain() !== undefined
  }
}

function groupByPeer(addresses: string[]): Map<string | undefined, string[]> {
  const groups = new Map<string | undefined, string[]>()
  for (const address of addresses) groups.set(peerOf(address), [...(groups.get(peerOf(address)) ?? []), address])
  return groups
}

/** Waits a moment for a connection to somebody, so that a caller sees a mesh and not a node alone. */
async function firstContact(host: Host, named: string[], remembers: boolean, signal?: AbortSignal): Promise<void> {
  if (host.peers().length > 0 || (named.every(address => peerOf(address) === host.peer) && !remembers)) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, FIRST_CONTACT)
  const unsubscribe = host.onPeer(() => resolve())
  signal?.addEventListener('abort', () => resolve(), { once: true })
  await promise
  clearTimeout(timer)
  unsubscribe()
  if (signal?.aborted) throw new AbortedError('starting the node was aborted')
}

/** Our multiaddrs for others: those that other machines can use first. */
function announced(host: Host): string[] {
  const loopback = (address: string) => (/^\/ip4\/127\.|^\/ip6\/::1\//.test(address) ? 1 : 0)
  return host.addresses().sort((a, b) => loopback(a) - loopback(b))
}

/** A life's number is above those of all lives before, also when the clock was set back. */
function nextEpoch(life: { get(key: string): Uint8Array | undefined; put(key: string, value: Uint8Array): void }, now: number): number {
  const last = life.get('epoch')
  const epoch = Math.max(Math.floor(now), last === undefined ? 0 : (decode(last) as number) + 1)
  life.put('epoch', encode(epoch))
  return epoch
}

function revocationTime(payload: Uint8Array): number | undefined {
  try {
    const { at } = decode(payload) as { at: unknown }
    return typeof at === 'number' ? at : undefined
  } catch {
    return undefined
  }
}
