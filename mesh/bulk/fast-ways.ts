import type { Logger } from '../../common/index.ts'
import type { FastWay } from './boarding.ts'
import { shmWay } from './shm.ts'

const fabricChoices = ['shm', 'rdma', 'stream'] as const
export type FabricChoice = (typeof fabricChoices)[number]

/**
 * The faster ways than a stream that this machine has, the fastest first: the memory of one host, then RDMA.
 *
 * @param allowed - what the user allows; one that is named and absent is logged
 */
export function fastWays(allowed: readonly FabricChoice[] = fabricChoices, logger?: Logger): FastWay[] {
  const ways: FastWay[] = []
  if (allowed.includes('shm')) {
    const way = shmWay()
    if ('absent' in way) logger?.debug(`no shared memory: ${way.absent}`)
    else ways.push(way)
  }
  return ways
}
