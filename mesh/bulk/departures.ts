import { FencedError, InvalidParametersError, MalformedError, OverloadedError } from '../../common/index.ts'
import { encodeFrame, encodeId, FrameType, writeHeader } from './frames.ts'
import { CHUNK_BYTES, HEADER_BYTES, MAX_ID_BYTES, MAX_REGIONS, SPARE_CHUNKS } from './limits.ts'
import { copyBytes } from './memory.ts'

/** A transfer this side offered. */
interface Transfer {
  readonly id: string
  readonly from: Uint8Array
  readonly length: number
  /** The peer's number for its region, once it named one. */
  handle: number | undefined
  sent: number
  resolve(): void
  reject(error: Error): void
}

/** A chunk's frame, and what of which transfer it holds. */
export interface Chunk {
  readonly frame: Uint8Array
  readonly handle: number
  readonly offset: number
}

/** A region that the peer named and for which nothing was offered yet. */
interface Grant {
  readonly id: string
  readonly handle: number
  readonly length: number
}

/**
 * The sending half of a channel. It holds no bytes: a chunk is copied out of the caller's buffer when the transport can take it,
 * so that a receiver which names no region, or reads slowly, costs nothing here. The copy is what lets the caller use its buffer
 * again the moment the promise settles, also when that is an abandonment with chunks still in the transport's hands.
 */
export class Departures {
  readonly #peer: string
  readonly #write: (frame: Uint8Array) => void
  readonly #wake: () => void
  readonly #byId = new Map<string, Transfer>()
  readonly #byHandle = new Map<number, Transfer>()
  readonly #grants = new Map<string, Grant>()
  readonly #grantsByHandle = new Map<number, Grant>()
  /** Granted transfers with bytes left, in the order in which they became ready. */
  readonly #ready = new Set<Transfer>()

  readonly #spare: Uint8Array[] = []

  transfersSent = 0

  /**
   * @param write - queues a control frame for the peer
   * @param wake - tells that `nextChunk` has something
   */
  constructor(peer: string, write: (frame: Uint8Array) => void, wake: () => void) {
    this.#peer = peer
    this.#write = write
    this.#wake = wake
  }

  /** Offer a transfer. @returns a function that withdraws it with an error, if it is still under way */
  offer(id: string, from: Uint8Array, resolve: () => void, reject: (error: Error) => void): (error: Error) => void {
    if (!encodeId(id))
      throw new InvalidParametersError(`bulk: a transfer id has 1 to ${MAX_ID_BYTES} bytes, not '${id.slice(0, MAX_ID_BYTES)}'`)
    if (this.#byId.has(id)) throw new InvalidParametersError(`bulk: transfer ${id} to ${this.#peer} is already under way`)
    if (this.#byId.size >= MAX_REGIONS) {
      throw new OverloadedError(`bulk: ${MAX_REGIONS} transfers to ${this.#peer} are under way; wait for some before sending ${id}`)
    }
    const transfer: Transfer = { id, from, length: from.length, handle: undefined, sent: 0, resolve, reject }
    this.#byId.set(id, transfer)
    const grant = this.#grants.get(id)
    if (grant) {
      this.#forgetGrant(grant)
      this.#start(transfer, grant.handle, grant.length)
    }
    return error => this.#withdraw(transfer, error)
  }

  cancel(match: (id: string) => boolean): void {
    for (const transfer of [...this.#byId.values()]) {
      if (match(transfer.id)) {
        this.#withdraw(transfer, new FencedError(`bulk: transfer ${transfer.id} to ${this.#peer} was cancelled`))
      }
    }
  }

  end(error: Error): void {
    const transfers = [...this.#byId.values()]
    this.#byId.clear()
    this.#byHandle.clear()
    this.#grants.clear()
    this.#grantsByHandle.clear()
    this.#ready.clear()
    for (const transfer of transfers) transfer.reject(error)
  }

  get ready(): boolean {
    return this.#ready.size > 0
  }

  /**
   * The next chunk as a frame.
   *
   * @param place - gives memory for a frame of so many bytes, or nothing when there is no room; memory of its own by default
   */
  nextChunk(place: (bytes: number) => Uint8Array | undefined = this.#frameOf): Chunk | undefined {
    for (const transfer of this.#ready) {
      if (transfer.from.length !== transfer.length) {
        this.#withdraw(transfer, new InvalidParametersError(`bulk: the buffer of transfer ${transfer.id} was detached or resized`))
        continue
      }
      const { from, sent } = transfer
      const bytes = Math.min(CHUNK_BYTES, transfer.length - sent)
      const frame = place(HEADER_BYTES + bytes)
      if (!frame) return undefined
      writeHeader(frame, FrameType.chunk, transfer.handle!, sent, bytes)
      copyBytes(from.subarray(sent, sent + bytes), frame, HEADER_BYTES)
      transfer.sent = sent + bytes
      if (transfer.sent === transfer.length) this.#ready.delete(transfer)
      return { frame, handle: transfer.handle!, offset: sent }
    }
    return undefined
  }

  /** The chunk of `handle` at `offset` got lost: go on from there, if anybody still wants it. */
  rewind(handle: number, offset: number): void {
    const transfer = this.#byHandle.get(handle)
    if (!transfer || offset > transfer.sent) return
    transfer.sent = offset
    this.#ready.add(transfer)
  }

  /** A chunk has left; its memory serves the next one. */
  released(frame: Uint8Array): void {
    if (frame.length === HEADER_BYTES + CHUNK_BYTES && this.#spare.length < SPARE_CHUNKS) this.#spare.push(frame)
  }

  onGrant(handle: number, length: number, id: string): void {
    if (this.#grants.has(id) || this.#byId.get(id)?.handle !== undefined) {
      throw new MalformedError(`bulk: ${this.#peer} named two regions for transfer ${id}`)
    }
    if (this.#byHandle.has(handle) || this.#grantsByHandle.has(handle)) {
      throw new MalformedError(`bulk: ${this.#peer} named two regions with handle ${handle}`)
    }
    if (this.#byHandle.size + this.#grantsByHandle.size >= MAX_REGIONS) {
      throw new MalformedError(`bulk: ${this.#peer} named more than ${MAX_REGIONS} regions`)
    }
    const transfer = this.#byId.get(id)
    if (transfer) {
      this.#start(transfer, handle, length)
      return
    }
    const grant = { id, handle, length }
    this.#grants.set(id, grant)
    this.#grantsByHandle.set(handle, grant)
  }

  /** The region is whole. A handle that is not under way was withdrawn here while the acknowledgement was. */
  onAck(handle: number): void {
    const transfer = this.#byHandle.get(handle)
    if (!transfer) return
    if (transfer.sent !== transfer.length || this.#ready.has(transfer)) {
      throw new MalformedError(
        `bulk: ${this.#peer} acknowledged transfer ${transfer.id} after ${transfer.sent} of ${transfer.length} bytes`
      )
    }
    this.#remove(transfer)
    this.transfersSent++
    transfer.resolve()
  }

  /** The peer abandoned a region. A handle that is not known was withdrawn here at the same time; that answers it. */
  onRevoke(handle: number): void {
    const grant = this.#grantsByHandle.get(handle)
    if (grant) {
      this.#forgetGrant(grant)
      this.#write(encodeFrame(FrameType.done, handle))
      return
    }
    const transfer = this.#byHandle.get(handle)
    if (!transfer) return
    this.#remove(transfer)
    this.#write(encodeFrame(FrameType.done, handle))
    transfer.reject(
      new FencedError(`bulk: ${this.#peer} abandoned transfer ${transfer.id} after ${transfer.sent} of ${transfer.length} bytes were sent`)
    )
  }

  readonly #frameOf = (bytes: number): Uint8Array =>
    (bytes === HEADER_BYTES + CHUNK_BYTES && this.#spare.pop()) || Buffer.allocUnsafeSlow(bytes)

  #start(transfer: Transfer, handle: number, length: number): void {
    if (length !== transfer.length) {
      this.#byId.delete(transfer.id)
      this.#write(encodeFrame(FrameType.mismatch, handle, transfer.length))
      transfer.reject(
        new MalformedError(`bulk: ${this.#peer} named ${length} bytes for transfer ${transfer.id}, which has ${transfer.length}`)
      )
      return
    }
    transfer.handle = handle
    this.#byHandle.set(handle, transfer)
    this.#ready.add(transfer)
    this.#wake()
  }

  #withdraw(transfer: Transfer, error: Error): void {
    if (this.#byId.get(transfer.id) !== transfer) return
    const { handle } = transfer
    this.#remove(transfer)
    if (handle !== undefined) this.#write(encodeFrame(FrameType.withdraw, handle))
    transfer.reject(error)
  }

  #remove(transfer: Transfer): void {
    this.#byId.delete(transfer.id)
    if (transfer.handle !== undefined) this.#byHandle.delete(transfer.handle)
    this.#ready.delete(transfer)
  }

  #forgetGrant(grant: Grant): void {
    this.#grants.delete(grant.id)
    this.#grantsByHandle.delete(grant.handle)
  }
}
