import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shmProblem } from '../../native/index.ts'
import { hostIdentity } from '../host-identity.ts'
import type { Fabric } from './types.ts'

const MAX_DEVICES = 256

/**
 * The RDMA fabrics of this machine that are up, by the kernel's infiniband class: link layer InfiniBand is InfiniBand, Ethernet is
 * RoCE. Then the host's memory where processes can share it, by which others tell who is on the same host, and TCP, which every
 * machine has.
 *
 * @param root - the class's folder; another one in tests
 * @param host - stands for the host, when its processes can share memory
 */
export async function findFabrics(
  root = '/sys/class/infiniband',
  host = shmProblem === undefined ? hostIdentity() : undefined
): Promise<Fabric[]> {
  const fabrics: Fabric[] = []
  for (const device of (await list(root)).slice(0, MAX_DEVICES)) {
    const ports = join(root, device, 'ports')
    for (const port of (await list(ports)).slice(0, MAX_DEVICES)) {
      const [layer, state, rate] = await Promise.all(['link_layer', 'state', 'rate'].map(name => read(join(ports, port, name))))
      // "4: ACTIVE"; a port that is down or still initialising moves nothing.
      if (!/^4:|\bACTIVE\b/.test(state!) || (layer !== 'InfiniBand' && layer !== 'Ethernet')) continue
      const gigabits = /^([\d.]+)\s*Gb\/sec/.exec(rate!)?.[1]
      fabrics.push({
        kind: layer === 'InfiniBand' ? 'infiniband' : 'roce',
        device: `${device}:${port}`,
        linkLayer: layer,
        ...(gigabits === undefined ? {} : { rate: Number(gigabits) })
      })
    }
  }
  if (host !== undefined) fabrics.push({ kind: 'shm', device: host })
  return [...fabrics, { kind: 'tcp', device: 'tcp' }]
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch {
    return []
  }
}

async function read(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).slice(0, 256).trim()
  } catch {
    return ''
  }
}
