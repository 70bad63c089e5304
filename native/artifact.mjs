// Where a part of the addon lies once it is built, and for which sources. Plain JavaScript: an old Node builds it on installation.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's root: of the source tree, or the one above `dist/`. */
export const root = findRoot()

/** The C++ sources of a part; what parts share lies beside their folders. */
export function sourcesOf(part) {
  const shared = join(root, 'native', 'src')
  const own = join(shared, part)
  const files = folder => readdirSync(folder).filter(name => /\.(cc|h)$/.test(name))
  return [...files(shared).map(name => join(shared, name)), ...files(own).map(name => join(own, name))].sort()
}

/** Path of the built part. Its name holds a hash of the sources, so that what was built of others is never loaded. */
export function artifactOf(part) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`)
  for (const file of sourcesOf(part)) hash.update(`\0${file.slice(root.length)}\0`).update(readFileSync(file))
  return join(root, 'build', 'native', `${part}-${hash.digest('hex').slice(0, 16)}.node`)
}

/** Whether the part is wanted and not there. */
export function needsBuilding(part) {
  return process.env.GRADMESH_NATIVE !== 'off' && !existsSync(artifactOf(part))
}

function findRoot() {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder)
    if (above === folder) throw new Error('the package.json of gradmesh is missing')
    folder = above
  }
  return folder
}
