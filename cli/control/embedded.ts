import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeService } from '../../actors/training/service-types.ts'
import { makeFolder } from '../../mesh/state/index.ts'
import { ControlClient } from './client.ts'
import { EMBEDDED, socketPath } from './protocol.ts'
import { type ControlServer, serveControl } from './server.ts'

/**
 * Offers the service of a mesh that lives in this process, so that `mesh status` and the like find it from another terminal. Its
 * folder holds nothing but the socket; those that killed processes left behind are removed.
 *
 * @param base - where the state folders of this user's nodes are
 */
export async function serveEmbedded(base: string, service: NodeService): Promise<ControlServer> {
  makeFolder(base, 0o700)
  const left = readdirSync(base).filter(name => EMBEDDED.test(name))
  await Promise.all(left.map(name => removeDead(join(base, name))))
  const folder = join(base, `embedded-${process.pid}`)
  makeFolder(folder, 0o700)
  const server = await serveControl({ folder, service })
  return {
    path: server.path,
    async close() {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

async function removeDead(folder: string): Promise<void> {
  try {
    await new ControlClient(socketPath(folder)).ping()
  } catch (error) {
    // Refused or absent: nobody listens. One that is only slow to answer stays.
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code
    if (code === 'ECONNREFUSED' || code === 'ENOENT') rmSync(folder, { recursive: true, force: true })
  }
}
