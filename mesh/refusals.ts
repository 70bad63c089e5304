import type { Logger } from '../common/index.ts'
import { otherMesh } from './admission/index.ts'
import type { Host } from './host.ts'

const REPEAT = 60_000
const FOREIGN_REPEAT = 3_600_000
const MAX_LINES = 256

/**
 * Says whom we refused and why, one line each, the same once a minute; and hands on the name of another mesh that is met.
 *
 * @returns stops
 */
export function reportRefusals(host: Host, logger: Logger, wallClock: () => number, onOtherMesh: (mesh: string) => void): () => void {
  const said = new Map<string, number>()
  return host.onRefused((peer, error, direction) => {
    const other = otherMesh(error)
    if (direction === 'outbound') {
      if (other !== undefined) onOtherMesh(other)
      return
    }
    const line = `refused ${peer}: ${error.message}`
    // A mesh next to ours on the network knocks again and again: that is said once for all of its nodes.
    const foreign = /^mesh \w+ was asked for/.exec(error.message)?.[0]
    const now = wallClock()
    if (now - (said.get(foreign ?? line) ?? Number.NEGATIVE_INFINITY) < (foreign === undefined ? REPEAT : FOREIGN_REPEAT)) return
    if (said.size >= MAX_LINES) said.clear()
    said.set(foreign ?? line, now)
    logger.warn(line)
  })
}
