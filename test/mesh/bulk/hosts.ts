import { noise } from '@chainsafe/libp2p-noise'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { type BulkChannel, type BulkEndpoint, type BulkEndpointOptions, createBulkEndpoint } from '../../../mesh/bulk/index.ts'

/** A plain host on loopback: TCP, Noise, yamux, and none of libp2p's limits that a test would run into. */
export function createTestHost(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // on an emulated processor a handshake takes its time
    connectionManager: {
      inboundConnectionThreshold: 10_000,
      maxIncomingPendingConnections: 1000,
      dialTimeout: 120_000,
      inboundUpgradeTimeout: 120_000
    },
    connectionMonitor: { enabled: false }
  })
}

export interface Trainer {
  host: Libp2p
  endpoint: BulkEndpoint
  peer: string
  stop(): Promise<void>
}

export async function createTrainer(options?: BulkEndpointOptions): Promise<Trainer> {
  const host = await createTestHost()
  const endpoint = createBulkEndpoint(host, { connectTimeout: 120_000, ...options })
  endpoint.allow(() => true)
  const trainer: Trainer = {
    host,
    endpoint,
    peer: host.peerId.toString(),
    async stop() {
      await trainer.endpoint.close()
      await host.stop()
    }
  }
  return trainer
}

/** Two trainers and both ends of the channel between them, gone over to its lane where `lanes` is true. */
export async function createPair(options?: BulkEndpointOptions): Promise<{
  a: Trainer
  b: Trainer
  left: BulkChannel
  right: BulkChannel
  stop(): Promise<void>
}> {
  const [a, b] = await Promise.all([createTrainer(options), createTrainer(options)])
  const accepted = new Promise<BulkChannel>(resolve => b.endpoint.onChannel(resolve))
  const left = await a.endpoint.connect(b.peer, b.endpoint.endpoints())
  const right = await accepted
  if (options?.lanes) await until(() => left.encryption === 'tls' && right.encryption === 'tls')
  return {
    a,
    b,
    left,
    right,
    async stop() {
      await Promise.all([a.stop(), b.stop()])
    }
  }
}

/** Bytes that depend on `seed` and on every position, quick to make. */
export function pattern(length: number, seed: number, into = new Uint8Array(length)): Uint8Array {
  let x = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    into[i] = x >>> 24
  }
  return into
}

/** Waits until `condition` holds, looking at every turn of the event loop. Bounded by the test's own time limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve))
}
