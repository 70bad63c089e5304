import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../../mesh/state/index.ts'
import { socketPath } from '../control/protocol.ts'
import type { Finding, Machine } from './finding.ts'

/** The folder that holds the state of this user's nodes. */
export async function checkState({ stateBase }: Machine): Promise<Finding[]> {
  const mend = 'set XDG_STATE_HOME to a short path that you may write, or give --state-dir'
  try {
    makeFolder(stateBase, 0o700)
    accessSync(stateBase, constants.W_OK)
    // As long as the names get that nodes take by themselves.
    socketPath(join(stateBase, 'embedded-4194304'))
    return [{ check: 'state folder', standing: 'ok', message: stateBase }]
  } catch (error) {
    return [{ check: 'state folder', standing: 'broken', message: `${stateBase} cannot be used: ${(error as Error).message}`, mend }]
  }
}
