import { readFile, stat } from 'node:fs/promises'
import { AbortedError, InvalidParametersError, TooLargeError } from '../../common/index.ts'
import { type ParsedDescription, parseDescription } from './text.ts'

/** Largest file of a description, bytes; the parser bounds it further. */
const MAX_FILE = 4 * 1024 * 1024

/**
 * A model described in YAML or JSON, from its file.
 *
 * @throws InvalidParametersError, MalformedError, TooLargeError naming file, line and column
 */
export async function openDescription(path: string, options: { signal?: AbortSignal } = {}): Promise<ParsedDescription & { text: string }> {
  let text: string
  try {
    const info = await stat(path)
    if (!info.isFile()) throw new InvalidParametersError(`${path} is no file`)
    if (info.size > MAX_FILE) throw new TooLargeError(`${path} has ${info.size} bytes; a model's description has at most ${MAX_FILE}`)
    text = await readFile(path, { encoding: 'utf8', ...options })
  } catch (error) {
    if (options.signal?.aborted) throw new AbortedError(`reading ${path} was aborted`, { cause: error })
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string') throw new InvalidParametersError(`${path} cannot be read (${code})`, { cause: error })
    throw error
  }
  return { ...parseDescription(text, path), text }
}
