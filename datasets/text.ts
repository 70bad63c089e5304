import { createHash } from 'node:crypto'
import path from 'node:path'
import { InvalidParametersError, MalformedError, NotFoundError, TooLargeError } from '../common/index.ts'
import { findFolder, openFirst, type SourceFile } from './files.ts'
import { createPace, type Pace } from './pace.ts'
import { checkId } from './splits.ts'
import type { Dataset, OpenOptions, Split } from './types.ts'
import { type DatasetUri, formatUri } from './uri.ts'

/** Characters of a sample when the URI names no number. */
export const DEFAULT_LENGTH = 64
export const LENGTHS = { min: 2, max: 4096 }
/** Largest text, bytes. */
const MAX_BYTES = 256 * 1024 * 1024
/** Different characters that a text may have. */
const MAX_VOCABULARY = 65_535
const CHUNK = 256 * 1024
/** The last of so many parts of a text is for testing. */
const TEST_PART = 10

/**
 * Windows of a sequence of tokens: a sample is `length` tokens, one after another without gap or overlap, and its labels are the token
 * that follows each.
 */
export function windows(tokens: Uint16Array, length: number): Split {
  const count = Math.max(0, Math.floor((tokens.length - 1) / length))
  return tokenSplit(count, length, (id, into) => {
    into.set(tokens.subarray(id * length, (id + 1) * length + 1))
  })
}

/** Samples of tokens. @param write - the `length` + 1 tokens of a sample, of which the last one is a label only */
export function tokenSplit(count: number, length: number, write: (id: number, into: Uint16Array) => void): Split {
  const sample = new Uint16Array(length + 1)
  return {
    count,
    read(ids, into, labels) {
      const n = ids.length * length
      if (into.length < n || labels.length < n) {
        throw new InvalidParametersError(
          `${ids.length} samples of ${length} tokens need room for ${n} floats and labels; the targets hold ${into.length} and ${labels.length}`
        )
      }
      for (let i = 0; i < ids.length; i++) {
        write(checkId(ids[i]!, count), sample)
        for (let k = 0; k < length; k++) {
          into[i * length + k] = sample[k]!
          labels[i * length + k] = sample[k + 1]!
        }
      }
    }
  }
}

/**
 * A text file in UTF-8 as samples for a model of the next character. Its characters, in the order of their code points, are the classes; the
 * last tenth is for testing.
 *
 * @throws NotFoundError, InvalidParametersError, MalformedError, TooLargeError naming the file
 */
export async function openText(uri: DatasetUri, options: OpenOptions): Promise<Dataset> {
  const given = uri.path!
  const length = uri.parameters.get('length') ?? DEFAULT_LENGTH
  const folder = await findFolder(path.dirname(given), options.dataRoots)
  const file = await openFirst(folder, [path.basename(given)])
  if (file === undefined) throw new NotFoundError(`there is no file '${path.basename(given)}' in '${folder.shown}'; check the path`)
  try {
    const { tokens, vocabulary, digest } = await readText(file, length, options)
    const cut = tokens.length - Math.max(Math.floor(tokens.length / TEST_PART), Math.min(length + 1, tokens.length))
    const train = windows(tokens.subarray(0, cut), length)
    const test = windows(tokens.subarray(cut), length)
    if (train.count === 0 || test.count === 0) {
      throw new MalformedError(`${file.shown} has ${tokens.length} characters, too few for samples of ${length}; make ?length= smaller`)
    }
    if (vocabulary < 2) throw new MalformedError(`${file.shown} holds one character over and over; there is nothing to learn`)
    const shape = [length]
    return {
      uri: formatUri({ ...uri, parameters: new Map([['length', length]]) }),
      shape,
      classes: vocabulary,
      positions: length,
      train,
      test,
      fingerprint: { count: train.count, testCount: test.count, shape, classes: vocabulary, positions: length, digest }
    }
  } finally {
    await file.handle.close()
  }
}

async function readText(
  file: SourceFile,
  length: number,
  { signal, onProgress }: OpenOptions
): Promise<{ tokens: Uint16Array; vocabulary: number; digest: string }> {
  if (file.size > MAX_BYTES) throw new TooLargeError(`${file.shown} has ${file.size} bytes; a text has at most ${MAX_BYTES}`)
  const pace = createPace(`reading ${file.shown}`, signal)
  const hash = createHash('sha256').update(`text 1 ${length};`)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const tokens = new Uint16Array(file.size)
  const seen = new Map<string, number>()
  let count = 0
  let read = 0
  const take = (text: string) => {
    for (const character of text) {
      let token = seen.get(character)
      if (token === undefined) {
        token = seen.size
        if (token === MAX_VOCABULARY) throw new TooLargeError(`${file.shown} has more than ${MAX_VOCABULARY} different characters`)
        seen.set(character, token)
      }
      tokens[count++] = token
    }
  }
  const buffer = new Uint8Array(CHUNK)
  while (read < file.size) {
    const { bytesRead } = await file.handle.read(buffer, 0, Math.min(CHUNK, file.size - read), read)
    if (bytesRead === 0) throw new MalformedError(`${file.shown} ended while it was read, after ${read} bytes`)
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    take(decode(decoder, chunk, true, file, read))
    read += bytesRead
    onProgress?.(read, file.size)
    if (pace.due()) await pace.rest()
  }
  take(decode(decoder, undefined, false, file, read))
  const kept = tokens.subarray(0, count)
  await sortVocabulary(kept, seen, pace)
  return { tokens: kept, vocabulary: seen.size, digest: hash.digest('hex') }
}

function decode(
  decoder: InstanceType<typeof TextDecoder>,
  chunk: Uint8Array | undefined,
  stream: boolean,
  file: SourceFile,
  at: number
): string {
  try {
    return decoder.decode(chunk, { stream })
  } catch (error) {
    throw new MalformedError(`${file.shown}: not UTF-8 at or after byte ${at}; convert it`, { cause: error })
  }
}

/** Numbers the characters anew, by code point. */
async function sortVocabulary(tokens: Uint16Array, seen: Map<string, number>, pace: Pace): Promise<void> {
  const order = [...seen.keys()].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  const rank = new Uint16Array(order.length)
  order.forEach((character, i) => {
    rank[seen.get(character)!] = i
  })
  for (let start = 0; start < tokens.length; start += CHUNK) {
    const end = Math.min(tokens.length, start + CHUNK)
    for (let i = start; i < end; i++) tokens[i] = rank[tokens[i]!]!
    if (pace.due()) await pace.rest()
  }
}
