/**
 * @packageDocumentation
 *
 * What `mesh doctor` looks at, one file a subject.
 *
 * @example
 * import { checks, thisMachine } from './cli/doctor/index.ts'
 * const machine = await thisMachine('/var/lib/gradmesh')
 * for (const check of checks) for (const { message, mend } of await check(machine)) console.log(message, mend)
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { NativeReport } from '../../native/index.ts'
import { checkAddon } from './addon.ts'
import { checkData } from './data.ts'
import { checkEngine } from './engine.ts'
import { checkFabrics } from './fabrics.ts'
import type { Finding, Machine } from './finding.ts'
import { checkNode } from './node.ts'
import { checkPorts } from './ports.ts'
import { checkState } from './state.ts'

export type { Finding, Machine } from './finding.ts'

/** Longest that one provider may take to run a session, ms: a GPU's first one compiles. */
const PATIENCE = 60_000

/** In the order in which they are told. */
export const checks: ((machine: Machine) => Promise<Finding[]>)[] = [
  checkNode,
  checkState,
  checkEngine,
  checkFabrics,
  checkAddon,
  checkPorts,
  checkData
]

/** This machine. @param stateBase - where the state folders of this user's nodes are */
export async function thisMachine(stateBase: string): Promise<Machine> {
  const { findFabrics, findGpus } = await import('../../mesh/index.ts')
  return { nodeVersion: process.versions.node, stateBase, gpus: findGpus, fabrics: findFabrics, native, tryProvider }
}

async function native(): Promise<NativeReport> {
  return (await import('../../native/index.ts')).nativeReport()
}

/** In a process of its own: a driver that crashes takes that one down only. */
async function tryProvider(name: string): Promise<string | undefined> {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const probe = fileURLToPath(new URL(`./provider-probe.${ending}`, import.meta.url))
  try {
    await promisify(execFile)(process.execPath, [...process.execArgv, probe, name], { timeout: PATIENCE })
    return undefined
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    return stderr.trim().split('\n').at(-1) || message.split('\n')[0]
  }
}
