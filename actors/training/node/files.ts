import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { InvalidParametersError, MAX_BULK_CHUNK, MalformedError } from '../../../common/index.ts'
import type { Block } from '../job/records.ts'

const SHA2_256 = 0x12

function cidOf(digest: Uint8Array): string {
  return CID.createV1(raw.code, createDigest(SHA2_256, digest)).toString()
}

/** Resolves a file's name below a job's folder. @throws InvalidParametersError when it leads out of it */
export function pathOf(folder: string, name: string): string {
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(name) || name.split('/').some(part => part === '..' || part === '.')) {
    throw new InvalidParametersError(`${JSON.stringify(name.slice(0, 80))} is no file name of a job`)
  }
  return join(folder, name)
}

/** A file of a job's folder by its content: CIDv1, raw, sha2-256. */
export async function describe(folder: string, name: string): Promise<Block> {
  const path = pathOf(folder, name)
  const { size } = await stat(path)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return { name, cid: cidOf(hash.digest()), bytes: size }
}

/** The bytes of a file, in chunks that fit a frame. */
export async function* chunks(path: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: MAX_BULK_CHUNK })) yield chunk as Uint8Array
}

/**
 * Writes a file whose content is known by its id; it appears only when the content is right.
 *
 * @throws MalformedError when the bytes are not those of `block.cid`
 */
export async function store(folder: string, block: Block, content: AsyncIterable<Uint8Array>): Promise<void> {
  const path = pathOf(folder, block.name)
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.part`
  const hash = createHash('sha256')
  let bytes = 0
  try {
    await pipeline(
      async function* () {
        for await (const chunk of content) {
          bytes += chunk.length
          if (bytes > block.bytes) throw new MalformedError(`${block.name}: more bytes arrive than the ${block.bytes} announced`)
          hash.update(chunk)
          yield chunk
        }
      },
      createWriteStream(temporary, { flush: true })
    )
    if (bytes !== block.bytes || cidOf(hash.digest()) !== block.cid) {
      throw new MalformedError(`${block.name}: what arrived is not the content ${block.cid}`)
    }
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}
