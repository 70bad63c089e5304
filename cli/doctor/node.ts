import { isNewEnough, OLDEST } from '../relaunch.mjs'
import type { Finding, Machine } from './finding.ts'

/** The Node this runs on. */
export async function checkNode({ nodeVersion }: Machine): Promise<Finding[]> {
  if (isNewEnough(nodeVersion)) return [{ check: 'node', standing: 'ok', message: `Node ${nodeVersion}` }]
  const message = `Node ${nodeVersion} is older than ${OLDEST.join('.')}`
  return [{ check: 'node', standing: 'broken', message, mend: 'install Node 24 or newer, or run npm ci in a clone of gradmesh' }]
}
