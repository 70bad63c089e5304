import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder and those above it. Node's own recursive way never ends where a file system answers that a folder's existing parent
 * is missing, as /proc does.
 *
 * @param path - absolute
 * @returns the topmost folder that was made; undefined when all were there
 * @throws the system's error, also when `path` or a part of it is there and no folder
 */
export function makeFolder(path: string, mode?: number): string | undefined {
  const parent = dirname(path)
  const made = existsSync(path) || parent === path ? undefined : makeFolder(parent, mode)
  try {
    mkdirSync(path, { mode })
    return made ?? path
  } catch (error) {
    // With a slash at its end only a folder exists.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && existsSync(`${path}/`)) return made
    throw error
  }
}
