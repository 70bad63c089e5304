import { rename, rm, writeFile } from 'node:fs/promises'

/** Writes a file that is there whole or not at all. @param content - parts are written one behind the other */
export async function writeAtomically(path: string, content: string | Uint8Array | Iterable<Uint8Array>): Promise<void> {
  const temporary = `${path}.${process.pid}.part`
  try {
    await writeFile(temporary, content, { flush: true })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
