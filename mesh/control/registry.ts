import { InvalidParametersError, NotFoundError, VersionError } from '../../common/index.ts'
import { MAX_PROTOCOL_NAME } from './limits.ts'

/** Handlers by protocol id. An id ends in a version: `/gradmesh/jobs/1.0.0`. */
export class Registry<H> {
  readonly #handlers = new Map<string, H>()

  /** @throws InvalidParametersError when the id is malformed or taken */
  add(protocol: string, handler: H): () => void {
    checkProtocol(protocol)
    if (this.#handlers.has(protocol)) throw new InvalidParametersError(`${protocol} already has a handler`)
    this.#handlers.set(protocol, handler)
    return () => {
      if (this.#handlers.get(protocol) === handler) this.#handlers.delete(protocol)
    }
  }

  find(protocol: string): H | undefined {
    return this.#handlers.get(protocol)
  }

  /** @throws VersionError when another version is answered here, NotFoundError when none is */
  get(protocol: string): H {
    const handler = this.#handlers.get(protocol)
    if (handler !== undefined) return handler
    const family = familyOf(protocol)
    const known = Array.from(this.#handlers.keys()).filter(id => familyOf(id) === family)
    if (known.length > 0)
      throw new VersionError(`${known.join(', ')} is spoken here, not ${protocol}; run the same release on all machines`)
    throw new NotFoundError(`nothing answers ${protocol.slice(0, MAX_PROTOCOL_NAME)} here`)
  }
}

/** @throws InvalidParametersError */
export function checkProtocol(protocol: string): void {
  if (protocol.length > MAX_PROTOCOL_NAME || !/^\/[\w./-]+\/\d+\.\d+\.\d+$/.test(protocol)) {
    throw new InvalidParametersError(`'${protocol}' is not a protocol id; it looks like /gradmesh/thing/1.0.0`)
  }
}

function familyOf(protocol: string): string {
  return protocol.slice(0, protocol.lastIndexOf('/'))
}
