import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { InvalidParametersError, NotFoundError } from '../common/index.ts'
import { printable } from './uri.ts'

/** A folder that was found and may be read. */
export interface Folder {
  /** Without symbolic links. */
  path: string
  /** As messages name it: as the user wrote it. */
  shown: string
  /** Real paths of the folders its files must lie in; undefined allows any. */
  roots: string[] | undefined
}

/** A regular file, open for reading. Close it by `handle.close()`. */
export interface SourceFile {
  handle: FileHandle
  /** Bytes. */
  size: number
  shown: string
}

/**
 * Finds the folder that `given` names. With `dataRoots` the result lies in one of them after every `..` and symbolic link is
 * followed, and a path that says by itself that it leads elsewhere is refused before the disk is asked.
 *
 * @throws NotFoundError when there is none, InvalidParametersError when it lies outside or is no folder
 */
export async function findFolder(given: string, dataRoots: string[] | undefined): Promise<Folder> {
  const shown = printable(given)
  const roots = dataRoots === undefined ? undefined : await realRoots(dataRoots)
  const candidates = roots === undefined ? [path.resolve(given)] : inRoots(given, dataRoots!, roots)
  if (candidates.length === 0) throw outside(shown)
  for (const candidate of candidates) {
    const real = await realOrNothing(candidate, shown)
    if (real === undefined) continue
    if (roots !== undefined && !roots.some(root => contains(root, real))) throw outside(shown)
    if (!(await stat(real)).isDirectory())
      throw new InvalidParametersError(`'${shown}' is not a folder; name the folder that holds the files`)
    return { path: real, shown, roots }
  }
  const place =
    roots === undefined ? `it would be ${printable(candidates[0]!)}` : `it is looked for in the data roots ${dataRoots!.join(', ')}`
  throw new NotFoundError(`there is no folder '${shown}': ${place}; check the path, or create it and put the files there`)
}

/**
 * Opens the first file of `names` that the folder has.
 *
 * @returns undefined when it has none of them
 * @throws InvalidParametersError when one is no regular file, leads outside the data roots or may not be read
 */
export async function openFirst(folder: Folder, names: string[]): Promise<SourceFile | undefined> {
  for (const name of names) {
    const shown = path.join(folder.shown, name)
    const real = await realOrNothing(path.join(folder.path, name), shown)
    if (real === undefined) continue
    if (folder.roots !== undefined && !folder.roots.some(root => contains(root, real))) throw outside(shown)
    let handle: FileHandle
    try {
      // never follow a link put there meanwhile, never wait for the writer of a pipe
      handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    } catch (error) {
      throw unreadable(shown, error)
    }
    const info = await handle.stat()
    if (info.isFile()) return { handle, size: info.size, shown }
    await handle.close()
    throw new InvalidParametersError(`'${shown}' is not a regular file`)
  }
  return undefined
}

async function realRoots(dataRoots: string[]): Promise<string[]> {
  const real = await Promise.all(dataRoots.map(root => realOrNothing(path.resolve(root), root)))
  return real.filter(root => root !== undefined)
}

/** Where `given` may lie, judged by its text: under each root when relative, else where it says if that is under a root. */
function inRoots(given: string, dataRoots: string[], realRoots: string[]): string[] {
  const roots = dataRoots.map(root => path.resolve(root))
  if (!path.isAbsolute(given)) return roots.map(root => path.resolve(root, given)).filter((at, i) => contains(roots[i]!, at))
  const at = path.resolve(given)
  return [...roots, ...realRoots].some(root => contains(root, at)) ? [at] : []
}

function contains(root: string, at: string): boolean {
  return at === root || at.startsWith(root.endsWith(path.sep) ? root : root + path.sep)
}

async function realOrNothing(at: string, shown: string): Promise<string | undefined> {
  try {
    return await realpath(at)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unreadable(shown, error)
  }
}

function outside(shown: string): Error {
  return new InvalidParametersError(
    `'${shown}' lies outside this node's data roots; move the data there or start the node with --data-root`
  )
}

function unreadable(shown: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
  const why = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : code
  return new InvalidParametersError(`'${printable(shown)}' cannot be read (${why}); check its owner and mode`, { cause: error })
}
