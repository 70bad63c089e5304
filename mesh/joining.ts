import { AbortedError, AdmissionError, GradmeshError, UnreachableError } from '../common/index.ts'
import { peerOf } from './connections.ts'
import type { Host } from './host.ts'
import type { Standing } from './standing.ts'

/** How long a joiner looks for members on the local network when those it knows do not answer, ms. */
const DISCOVERY_TIME = 6000
/** How often each is tried: one that is busy, or has just come up, may answer the next time. */
const ROUNDS = 3
const BETWEEN_ROUNDS = 300
/** How long a start waits for a first connection, ms. */
const FIRST_CONTACT = 3000

/**
 * Dials those that may admit us, one after another, then whoever is on the local network.
 *
 * @throws AdmissionError when one refused us and none admitted us
 * @throws UnreachableError when none answers
 */
export async function joinByInvite(host: Host, standing: Standing, peers: string[], signal?: AbortSignal): Promise<void> {
  const failures: Error[] = []
  const discovered: { peer: string; addresses: string[] }[] = []
  const stopListening = host.onDiscovered((peer, addresses) => discovered.push({ peer, addresses }))
  try {
    for (let round = 0; round < ROUNDS && !failures.some(error => error instanceof AdmissionError); round++) {
      if (round > 0) await new Promise(resolve => setTimeout(resolve, BETWEEN_ROUNDS))
      for (const [peer, addresses] of groupByPeer([...peers, ...standing.addresses])) {
        if (await attempt(peer, addresses)) return
      }
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
    cause: failures.at(-1)
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

/** Waits a moment for a connection to somebody, so that a caller sees a mesh and not a node alone. */
export async function firstContact(host: Host, named: string[], remembers: boolean, signal?: AbortSignal): Promise<void> {
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
export function announced(host: Host): string[] {
  const loopback = (address: string) => (/^\/ip4\/127\.|^\/ip6\/::1\//.test(address) ? 1 : 0)
  return host.addresses().sort((a, b) => loopback(a) - loopback(b))
}

function groupByPeer(addresses: string[]): Map<string | undefined, string[]> {
  const groups = new Map<string | undefined, string[]>()
  for (const address of addresses) groups.set(peerOf(address), [...(groups.get(peerOf(address)) ?? []), address])
  return groups
}
