import { randomBytes } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { MalformedError } from '../../common/index.ts'
import { createShmLink, type ShmLink, shmProblem } from '../../native/index.ts'
import { hostIdentity } from '../host-identity.ts'
import type { FastWay, LinkAttempt } from './boarding.ts'
import { RING_BYTES } from './limits.ts'
import type { RingEvents, RingLink } from './ring-link.ts'

const TOKEN_BYTES = 16

const schema = z.object({
  pid: z.int().min(1).max(0x7fffffff),
  fd: z.int().min(0).max(0x7fffffff),
  bytes: z
    .int()
    .min(65_536)
    .max(1 << 30),
  token: z.instanceof(Uint8Array).refine(token => token.length === TOKEN_BYTES)
})

/**
 * Shared memory between trainers of one host. Each side makes a ring of its own that only it can write, and tells the other process
 * number, descriptor and token over the encrypted stream; the other opens it for reading, and the token in it proves that it is the
 * right one. No name is left in any file system, and the memory goes with its last user.
 *
 * @param identity - stands for the host; another one in tests
 * @returns why there is none here, in one line
 */
export function shmWay(identity = hostIdentity(), ringBytes = RING_BYTES): FastWay | { absent: string } {
  if (shmProblem !== undefined) return { absent: shmProblem }
  if (identity === undefined) return { absent: 'the kernel does not say which host this is' }
  return {
    kind: 'shm',
    proposal: identity,
    suits: theirs => theirs === identity,
    async begin(): Promise<LinkAttempt> {
      const token = randomBytes(TOKEN_BYTES)
      const link = createShmLink(ringBytes, token)
      return {
        details: encode({ pid: process.pid, fd: link.fd, bytes: ringBytes, token }),
        async complete(theirs) {
          const { pid, fd, bytes, token } = parse(theirs)
          return new MemoryLink(link, pid, fd, bytes, token)
        },
        abandon: () => link.close()
      }
    }
  }
}

class MemoryLink implements RingLink {
  readonly out: Uint8Array
  readonly in: Uint8Array
  readonly #link: ShmLink
  #events: RingEvents | undefined
  /** Something happened before anybody listened. */
  #early = false

  constructor(link: ShmLink, pid: number, fd: number, bytes: number, token: Uint8Array) {
    this.#link = link
    this.out = new Uint8Array(link.out)
    this.in = new Uint8Array(
      link.attach(pid, fd, bytes, token, () => {
        if (this.#events) this.#events.moved()
        else this.#early = true
      })
    )
  }

  start(events: RingEvents): void {
    this.#events = events
    if (this.#early) events.moved()
  }

  publish(head: number): void {
    this.#link.publish(head)
  }

  consume(position: number): void {
    this.#link.consume(position)
  }

  peerHead(): number {
    return this.#link.peerHead()
  }

  peerConsumed(): number {
    return this.#link.peerConsumed()
  }

  starve(yes: boolean): void {
    this.#link.starve(yes)
  }

  close(): void {
    this.#events = { moved() {}, failed() {} }
    this.#link.close()
  }
}

function parse(details: Uint8Array): z.infer<typeof schema> {
  try {
    return schema.parse(decode(details))
  } catch (error) {
    throw new MalformedError('bulk: the details of a shared memory are malformed', { cause: error })
  }
}
