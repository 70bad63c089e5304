import { readdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Logger } from '../../common/index.ts'
import { ucxReport } from '../../native/index.ts'
import { findFabrics } from '../capabilities/index.ts'
import type { FastWay } from './boarding.ts'
import { RING_BYTES } from './limits.ts'
import { checkLockedMemory, rdmaWay } from './rdma.ts'
import { shmWay } from './shm.ts'

const fabricChoices = ['shm', 'rdma', 'stream'] as const
export type FabricChoice = (typeof fabricChoices)[number]

/** A link on which something is owed and nothing moves has failed after so long, ms: on hardware, and where software plays the part. */
const WATCHDOG = 1000
const WATCHDOG_EMULATED = 10_000
const CAP_IPC_LOCK = 14n

/**
 * The faster ways than a stream that this machine has, the fastest first: the memory of one host, then RDMA.
 *
 * @param allowed - what the user allows; what was named and is absent is logged as a warning
 */
export async function fastWays(allowed?: readonly FabricChoice[], logger?: Logger): Promise<FastWay[]> {
  const ways: FastWay[] = []
  const found = { shm: async () => shmWay(), rdma: rdmaHere }
  for (const name of ['shm', 'rdma'] as const) {
    if (allowed !== undefined && !allowed.includes(name)) continue
    const way = await found[name]()
    if (!('absent' in way)) ways.push(way)
    else if (allowed === undefined) logger?.debug(`no ${name} here: ${way.absent}`)
    else logger?.warn(`--fabric names ${name}, which is absent: ${way.absent}`)
  }
  return ways
}

/** RDMA as this machine has it: InfiniBand or RoCE devices that are up, with an address, and UCX. */
async function rdmaHere(): Promise<FastWay | { absent: string }> {
  const fabrics = (await findFabrics()).filter(fabric => fabric.kind === 'infiniband' || fabric.kind === 'roce')
  if (fabrics.length === 0) return { absent: 'no InfiniBand or RoCE device is up' }
  const report = ucxReport()
  if ('problem' in report) return { absent: report.problem }
  const addresses = fabrics.flatMap(fabric => addressesOf(fabric.device))
  if (addresses.length === 0) return { absent: `${fabrics.map(f => f.device).join(', ')}: no network address, which rdma_cm needs` }
  try {
    checkLockedMemory(lockedMemory(), 2 * RING_BYTES)
  } catch (error) {
    return { absent: (error as Error).message }
  }
  const emulated = fabrics.every(fabric => /^(rxe|siw)/.test(fabric.device))
  return rdmaWay({
    kinds: [...new Set(fabrics.map(fabric => fabric.kind))].join(','),
    transports: 'ib',
    priority: 'rdmacm',
    addresses,
    watchdog: emulated ? WATCHDOG_EMULATED : WATCHDOG
  })
}

/** IP addresses of the network interfaces behind `device:port`. */
function addressesOf(device: string): string[] {
  const [name, port] = device.split(':')
  const root = `/sys/class/infiniband/${name}`
  const names = new Set<string>()
  const ndevs = `${root}/ports/${port}/gid_attrs/ndevs`
  // entries without an interface cannot be read
  for (const entry of list(ndevs)) names.add(read(`${ndevs}/${entry}`))
  for (const entry of list(`${root}/device/net`)) names.add(entry)
  const interfaces = networkInterfaces()
  const all = [...names].flatMap(entry => interfaces[entry] ?? []).filter(info => !info.internal)
  // link-local ones need a scope, which another host cannot know
  const usable = all.map(info => info.address).filter(address => !address.startsWith('fe80:'))
  return usable.toSorted((a, b) => Number(a.includes(':')) - Number(b.includes(':')))
}

/** Bytes that this process may lock: no bound with the capability for it. */
function lockedMemory(): number {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(read('/proc/self/status'))?.[1]
  if (effective !== undefined && (BigInt(`0x${effective}`) >> CAP_IPC_LOCK) & 1n) return Number.POSITIVE_INFINITY
  const limit = /^Max locked memory\s+(\S+)/m.exec(read('/proc/self/limits'))?.[1]
  return limit === undefined || limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit)
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}
