import { randomBytes } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { AbortedError, InvalidParametersError, MalformedError, UnreachableError } from '../../common/index.ts'
import { createUcxNode, type UcxEvent, type UcxNode, type UcxOptions } from '../../native/index.ts'
import type { FastWay, LinkAttempt } from './boarding.ts'
import { FIT_TIMEOUT, RING_BYTES } from './limits.ts'
import type { RingEvents, RingLink } from './ring-link.ts'

const TOKEN_BYTES = 16
const MAX_ADDRESSES = 8

const schema = z.object({
  link: z.int().min(1).max(0xffffffff),
  token: z.instanceof(Uint8Array).refine(token => token.length === TOKEN_BYTES),
  bytes: z.int(),
  address: z.string().regex(/^[0-9a-f]{1,16}$/),
  key: z.instanceof(Uint8Array).refine(key => key.length > 0 && key.length <= 1024),
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(MAX_ADDRESSES),
  port: z.int().min(1).max(65_535)
})

export interface RdmaOptions extends Omit<UcxOptions, 'address'> {
  /** What both sides must have: `roce`, `infiniband`, comma-separated. */
  kinds: string
  /** Where others reach this side's fabric. */
  addresses: readonly string[]
  /** Bytes of each ring. @default RING_BYTES */
  ringBytes?: number
}

/**
 * RDMA through UCX. Each side registers a landing ring for this one link and tells its key over the encrypted stream, with a token; the
 * one with the lower peer id connects through rdma_cm, and nothing is taken from an endpoint before its first message has shown the
 * token. Both then write 4 KiB into one another's ring and check them, before a frame goes this way.
 */
export function rdmaWay(options: RdmaOptions): FastWay & { close(): void; readonly held: number } {
  const { kinds, addresses, ringBytes = RING_BYTES } = options
  const links = new Map<number, (event: UcxEvent, message: string) => void>()
  let node: UcxNode | undefined
  let lastLink = 0

  const started = () => {
    const listen = addresses.some(address => address.includes(':'))
      ? '::'
      : addresses.every(a => a.startsWith('127.'))
        ? '127.0.0.1'
        : '0.0.0.0'
    node ??= createUcxNode({ ...options, address: listen }, (link, event, message) => links.get(link)?.(event, message))
    return node
  }

  return {
    kind: 'rdma',
    // an emulated device is slow in all it does
    limit: Math.max(FIT_TIMEOUT, 6 * options.watchdog),
    proposal: kinds,
    suits: theirs => theirs.split(',').some(kind => kinds.split(',').includes(kind)),
    get held() {
      return node?.held ?? 0
    },
    close() {
      node?.close()
      node = undefined
    },
    async begin(_peer, first): Promise<LinkAttempt> {
      const ucx = started()
      const link = ++lastLink
      const token = randomBytes(TOKEN_BYTES)
      const { key, address, ...rings } = ucx.make(link, ringBytes, token)
      return {
        details: encode({
          link,
          token,
          bytes: ringBytes,
          address: address.toString(16),
          key: new Uint8Array(key),
          addresses: addresses.slice(0, MAX_ADDRESSES),
          port: ucx.port
        }),
        async complete(theirs, signal) {
          const told = parse(theirs)
          if (told.bytes !== ringBytes)
            throw new UnreachableError(`rdma: the other side's rings have ${told.bytes} bytes, not ${ringBytes}`)
          const ip = first ? told.addresses[0] : ''
          if (ip === undefined) throw new UnreachableError('rdma: the other side has no address on its fabric')
          const opened = Promise.withResolvers<void>()
          let failure: Error | undefined
          const onAbort = () => opened.reject(new AbortedError('rdma: the attempt was given up', { cause: signal.reason }))
          signal.addEventListener('abort', onAbort, { once: true })
          links.set(link, (event, message) => {
            if (event === 'open') opened.resolve()
            else if (event === 'failed') {
              failure = new UnreachableError(message)
              opened.reject(failure)
            }
          })
          try {
            ucx.meet(link, told.link, told.token, BigInt(`0x${told.address}`), told.key, ip, told.port)
            await opened.promise
          } finally {
            signal.removeEventListener('abort', onAbort)
          }
          return new UcxLink(ucx, link, rings, links, () => failure)
        },
        abandon() {
          links.delete(link)
          ucx.release(link)
        }
      }
    }
  }
}

class UcxLink implements RingLink {
  readonly out: Uint8Array
  readonly in: Uint8Array
  readonly #ucx: UcxNode
  readonly #link: number
  readonly #links: Map<number, (event: UcxEvent, message: string) => void>
  readonly #failure: () => Error | undefined

  constructor(
    ucx: UcxNode,
    link: number,
    rings: { out: ArrayBuffer; in: ArrayBuffer },
    links: Map<number, (event: UcxEvent, message: string) => void>,
    failure: () => Error | undefined
  ) {
    this.#ucx = ucx
    this.#link = link
    this.#links = links
    this.#failure = failure
    this.out = new Uint8Array(rings.out)
    this.in = new Uint8Array(rings.in)
  }

  start(events: RingEvents): void {
    let failed = false
    const fail = (error: Error) => {
      if (failed) return
      failed = true
      events.failed(error)
    }
    this.#links.set(this.#link, (event, message) => {
      if (event === 'moved') events.moved()
      else if (event === 'failed') fail(new UnreachableError(message))
    })
    // later: nobody expects an event in the middle of starting
    queueMicrotask(() => {
      const failure = this.#failure()
      if (failure) fail(failure)
      else if (this.#links.has(this.#link)) events.moved()
    })
  }

  publish(head: number): void {
    this.#ucx.publish(this.#link, head)
  }

  consume(position: number): void {
    this.#ucx.consume(this.#link, position)
  }

  peerHead(): number {
    return this.#ucx.peerHead(this.#link)
  }

  peerConsumed(): number {
    return this.#ucx.peerConsumed(this.#link)
  }

  starve(yes: boolean): void {
    this.#ucx.starve(this.#link, yes)
  }

  close(): void {
    this.#links.delete(this.#link)
    this.#ucx.release(this.#link)
  }
}

function parse(details: Uint8Array): z.infer<typeof schema> {
  try {
    return schema.parse(decode(details))
  } catch (error) {
    throw new MalformedError('bulk: the details of a landing region are malformed', { cause: error })
  }
}

/**
 * @param limit - locked memory that a process may have, bytes, as `ulimit -l` counts it
 * @throws InvalidParametersError that names the setting, when `needed` bytes are more
 */
export function checkLockedMemory(limit: number, needed: number): void {
  if (limit >= needed) return
  throw new InvalidParametersError(
    `RDMA needs ${needed / 1024} KiB of locked memory for a channel, 'ulimit -l' allows ${limit / 1024}: raise it ('memlock' in ` +
      '/etc/security/limits.conf, LimitMEMLOCK= of a systemd unit), or leave RDMA out with --fabric shm,stream'
  )
}
