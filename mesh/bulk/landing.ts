import { FencedError, InvalidParametersError, MalformedError, OverloadedError } from '../../common/index.ts'
import { encodeFrame, encodeId, FrameType } from './frames.ts'
import { MAX_ID_BYTES, MAX_REGIONS } from './limits.ts'
import { copyBytes } from './memory.ts'

/** A region named for the peer. */
interface Region {
  readonly id: string
  readonly handle: number
  readonly into: Uint8Array
  readonly length: number
  received: number
  /** Bytes may still land. Once false, never again true. */
  open: boolean
  resolve(): void
  reject(error: Error): void
}

/**
 * The receiving half of a channel: the regions named for the peer, and nothing else that its bytes could reach.
 *
 * A region is open from `name` until it is whole, withdrawn or abandoned. An abandoned one is remembered as revoked until the
 * sender said that nothing follows (`done`, `withdraw`), so that chunks which were under way are told from chunks nobody asked for.
 */
export class Landing {
  readonly #peer: string
  readonly #write: (frame: Uint8Array) => void
  readonly #byId = new Map<string, Region>()
  readonly #byHandle = new Map<number, Region>()
  readonly #revoked = new Set<number>()
  #nextHandle = 1
  /** Where the bytes of the current chunk go; undefined when they are dropped. */
  #current: Region | undefined

  transfersReceived = 0
  bytesDropped = 0

  /** @param write - queues a control frame for the peer */
  constructor(peer: string, write: (frame: Uint8Array) => void) {
    this.#peer = peer
    this.#write = write
  }

  /** Name a region. @returns a function that abandons it with an error, if it is still open */
  name(id: string, into: Uint8Array, resolve: () => void, reject: (error: Error) => void): (error: Error) => void {
    const idBytes = encodeId(id)
    if (!idBytes) throw new InvalidParametersError(`bulk: a transfer id has 1 to ${MAX_ID_BYTES} bytes, not '${id.slice(0, MAX_ID_BYTES)}'`)
    if (this.#byId.has(id)) {
      throw new InvalidParametersError(`bulk: a region for transfer ${id} of ${this.#peer} is already named; wait for it or cancel it`)
    }
    // the peer has read a revocation before it reads the next grant, so that revoked regions do not count against its bound
    if (this.#byHandle.size >= MAX_REGIONS || this.#byHandle.size + this.#revoked.size >= 2 * MAX_REGIONS) {
      throw new OverloadedError(
        `bulk: too many regions are named for ${this.#peer} (${MAX_REGIONS}); wait for some before naming transfer ${id}`
      )
    }
    const handle = this.#freeHandle()
    const region: Region = { id, handle, into, length: into.length, received: 0, open: true, resolve, reject }
    this.#byId.set(id, region)
    this.#byHandle.set(handle, region)
    this.#write(encodeFrame(FrameType.grant, handle, region.length, idBytes))
    return error => this.#abandon(region, error)
  }

  /** Abandon every open region whose id `match` holds for. */
  cancel(match: (id: string) => boolean): void {
    for (const region of [...this.#byId.values()]) {
      if (match(region.id)) this.#abandon(region, new FencedError(`bulk: transfer ${region.id} from ${this.#peer} was cancelled`))
    }
  }

  /** The channel ended: nothing lands any more. */
  end(error: Error): void {
    const regions = [...this.#byHandle.values()]
    this.#byId.clear()
    this.#byHandle.clear()
    this.#revoked.clear()
    this.#current = undefined
    for (const region of regions) {
      region.open = false
      region.reject(error)
    }
  }

  chunkStart(handle: number, offset: number, length: number): void {
    this.#current = undefined
    const region = this.#byHandle.get(handle)
    if (!region) {
      if (this.#revoked.has(handle)) return
      throw new MalformedError(`bulk: ${this.#peer} sent a chunk for handle ${handle}, which names no region`)
    }
    if (offset !== region.received) {
      throw new MalformedError(`bulk: ${this.#peer} sent byte ${offset} of transfer ${region.id} where byte ${region.received} follows`)
    }
    if (offset + length > region.length) {
      throw new MalformedError(
        `bulk: ${this.#peer} sent ${offset + length} bytes of transfer ${region.id}, whose region has ${region.length}`
      )
    }
    if (length === 0 && region.length > 0) {
      throw new MalformedError(`bulk: ${this.#peer} sent an empty chunk of transfer ${region.id}`)
    }
    this.#current = region
  }

  chunkBytes(piece: Uint8Array): void {
    const region = this.#current
    if (!region?.open) {
      this.bytesDropped += piece.length
      return
    }
    if (region.into.length !== region.length) {
      this.#abandon(region, new InvalidParametersError(`bulk: the buffer named for transfer ${region.id} was detached or resized`))
      this.bytesDropped += piece.length
      return
    }
    copyBytes(piece, region.into, region.received)
    region.received += piece.length
  }

  chunkEnd(): void {
    const region = this.#current
    this.#current = undefined
    if (!region?.open || region.received !== region.length) return
    this.#remove(region)
    this.transfersReceived++
    this.#write(encodeFrame(FrameType.ack, region.handle))
    region.resolve()
  }

  /** The sender says that nothing follows for a revoked handle. */
  onDone(handle: number): void {
    if (!this.#revoked.delete(handle))
      throw new MalformedError(`bulk: ${this.#peer} answered a revocation of handle ${handle} that was not made`)
  }

  /** The sender abandoned the transfer. A handle that is settled crossed the withdrawal. */
  onWithdraw(handle: number): void {
    if (this.#revoked.delete(handle)) return
    const region = this.#byHandle.get(handle)
    if (!region) return
    this.#remove(region)
    const at = `after ${region.received} of ${region.length} bytes`
    region.reject(new FencedError(`bulk: ${this.#peer} abandoned transfer ${region.id} ${at}`))
  }

  /** The sender has another number of bytes for this transfer. */
  onMismatch(handle: number, length: number): void {
    if (this.#revoked.delete(handle)) return
    const region = this.#byHandle.get(handle)
    if (!region || region.received > 0) {
      throw new MalformedError(`bulk: ${this.#peer} changed the length of the transfer with handle ${handle} after it began`)
    }
    this.#remove(region)
    region.reject(
      new MalformedError(`bulk: ${this.#peer} has ${length} bytes for transfer ${region.id}, the region named has ${region.length}`)
    )
  }

  #abandon(region: Region, error: Error): void {
    if (!region.open) return
    this.#remove(region)
    this.#revoked.add(region.handle)
    this.#write(encodeFrame(FrameType.revoke, region.handle))
    region.reject(error)
  }

  #remove(region: Region): void {
    region.open = false
    this.#byId.delete(region.id)
    this.#byHandle.delete(region.handle)
  }

  #freeHandle(): number {
    while (this.#byHandle.has(this.#nextHandle) || this.#revoked.has(this.#nextHandle)) this.#nextHandle = (this.#nextHandle + 1) >>> 0
    const handle = this.#nextHandle
    this.#nextHandle = (handle + 1) >>> 0
    return handle
  }
}
