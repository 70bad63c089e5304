import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The clone this file lies in. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a program of node_modules under this Node, on this terminal; ends this process with the same code when it fails. */
export function step(program: string, args: string[]): void {
  const { status, signal, error } = spawnSync(process.execPath, [`${root}/node_modules/${program}`, ...args], {
    cwd: root,
    stdio: 'inherit'
  })
  if (error !== undefined) throw error
  if (signal !== null) process.kill(process.pid, signal)
  if (status !== 0) process.exit(status ?? 1)
}

export const biome = '@biomejs/biome/bin/biome'
export const tsc = 'typescript/bin/tsc'
export const tap = 'tap/dist/esm/run.mjs'
