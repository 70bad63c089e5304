/**
 * @packageDocumentation
 *
 * What `mesh doctor` looks at, one file a subject.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { checkData } from './data.ts'
import { checkEngine } from './engine.ts'
import type { Finding, Machine } from './finding.ts'
import { checkNode } from './node.ts'
import { checkPorts } from './ports.ts'
import { checkState } from './state.ts'

export type { Finding, Machine } from './finding.ts'

/** Longest that a vendor's tool may take, ms. */
const PATIENCE = 15_000

/** In the order in which they are told. */
export const checks: ((machine: Machine) => Promise<Finding[]>)[] = [checkNode, checkState, checkEngine, checkPorts, checkData]

/** This machine. */
export function thisMachine(env: NodeJS.ProcessEnv, stateBase: string): Machine {
  return {
    env,
    platform: process.platform,
    nodeVersion: process.versions.node,
    stateBase,
    output: (program, args) =>
      promisify(execFile)(program, args, { timeout: PATIENCE }).then(
        ({ stdout }) => stdout,
        () => undefined
      )
  }
}
