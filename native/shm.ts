import { GradmeshError } from '../common/index.ts'
import { loadPart } from './addon.ts'

/** One side of a pair of rings in shared memory, see src/shm/shm.cc. Positions count bytes modulo 2³². */
export interface ShmLink {
  /** File descriptor of this side's memory, which another process of this user opens through /proc. */
  readonly fd: number
  /** The ring that this side writes. */
  readonly out: ArrayBuffer
  /**
   * Map the other side's ring; it can only be read.
   *
   * @param onEvent - the other side published, or consumed while this one starves
   * @throws Error when there is no such memory, it can be changed in size, or does not hold `token`
   */
  attach(pid: number, fd: number, bytes: number, token: Uint8Array, onEvent: () => void): ArrayBuffer
  publish(head: number): void
  consume(position: number): void
  peerHead(): number
  peerConsumed(): number
  starve(yes: boolean): void
  close(): void
}

interface ShmPart {
  ShmLink: new (ringBytes: number, token: Uint8Array) => ShmLink
}

const part = loadPart<ShmPart>('shm')

/** Why there are no links over shared memory here, in words for a user; undefined when there are. */
export const shmProblem: string | undefined = part.problem

/**
 * @param ringBytes - a power of two
 * @param token - 16 bytes that prove to the other side that it opened the right memory
 * @throws GradmeshError when there is no addon
 */
export function createShmLink(ringBytes: number, token: Uint8Array): ShmLink {
  if (part.module === undefined) throw new GradmeshError(`there are no links over shared memory here: ${part.problem}`)
  return new part.module.ShmLink(ringBytes, token)
}
