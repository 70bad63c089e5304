import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { MalformedError } from '../../common/index.ts'
import type { Capabilities } from './types.ts'

const text = z.string().max(256)
const schema = z.object({
  node: text.optional(),
  devices: z
    .array(
      z.object({
        id: text,
        uuid: text.optional(),
        kind: z.enum(['gpu', 'cpu']),
        name: text,
        memory: z.number().nonnegative().optional(),
        providers: z.array(text).max(16)
      })
    )
    .max(1280),
  fabrics: z
    .array(
      z.object({
        kind: z.enum(['infiniband', 'roce', 'shm', 'tcp']),
        device: text,
        linkLayer: text.optional(),
        rate: z.number().nonnegative().optional()
      })
    )
    .max(512),
  labels: z.record(text, text),
  free: z.array(text).max(1280)
})

export function encodeCapabilities({ peer: _, ...value }: Capabilities): Uint8Array {
  // dag-cbor has no undefined: what is absent is left out.
  return encode(JSON.parse(JSON.stringify(value)))
}

/** What `peer` says it has. @throws MalformedError */
export function decodeCapabilities(peer: string, bytes: Uint8Array): Capabilities {
  try {
    return { peer, ...schema.parse(decode(bytes)) } as Capabilities
  } catch (error) {
    throw new MalformedError(`the capabilities of ${peer} are malformed`, { cause: error })
  }
}
