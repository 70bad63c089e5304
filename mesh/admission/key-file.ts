import { hkdfSync, randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { AdmissionError, InvalidParametersError } from '../../common/index.ts'
import { type Identity, identityFromSeed } from '../identity/index.ts'

const PREFIX = 'gradmesh-key-1:'

/** The content of a new shared key file. Whoever has it is a founder of the same mesh. */
export function newKey(): string {
  return `${PREFIX}${randomBytes(32).toString('base64url')}\n`
}

/** Writes a new key to `path`, mode 0600. @throws InvalidParametersError when the file exists or cannot be written */
export function writeKeyFile(path: string): void {
  try {
    writeFileSync(path, newKey(), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    throw new InvalidParametersError(
      exists ? `${path} exists; a key is never overwritten` : `the key file ${path} cannot be written: ${(error as Error).message}`
    )
  }
}

/**
 * The founding key that the file at `path` stands for: the same file gives the same key on every node.
 *
 * @throws InvalidParametersError when it cannot be read
 * @throws AdmissionError when it is not a key file
 */
export function readKeyFile(path: string): Identity {
  let text: string
  try {
    // A key has under 100 bytes; a wrong path should not be read into memory.
    if (statSync(path).size > 4096) throw new AdmissionError(`${path} is not a key file; make one with 'mesh key new'`)
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof AdmissionError) throw error
    throw new InvalidParametersError(`the key file ${path} cannot be read: ${(error as Error).message}`)
  }
  const secret = Buffer.from(text.slice(PREFIX.length), 'base64url')
  if (!text.startsWith(PREFIX) || secret.byteLength !== 32)
    throw new AdmissionError(`${path} is not a key file; make one with 'mesh key new'`)
  return identityFromSeed(new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), 'gradmesh founding key', 32)))
}
