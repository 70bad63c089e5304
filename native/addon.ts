import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { InvalidParametersError } from '../common/index.ts'
import { artifactOf, root } from './artifact.mjs'
import type { Kernels } from './kernels/kernels.ts'
import { twins } from './kernels/twins.ts'

/** Which implementation of the kernels: TypeScript, C++ that runs anywhere, or C++ for an instruction set. */
export type Level = 'typescript' | 'portable' | 'avx2' | 'avx512' | 'neon'

/** How a part of the addon stands. */
export interface Part<T> {
  module?: T
  /** Why it is not there, in words for a user. */
  problem?: string
}

/** The part that needs nothing but a compiler. */
export interface Core {
  createArena(bytes: number, id: string, huge: boolean): MappedArena
  openArena(path: string, bytes: number, id: string): MappedArena
  closeArena(handle: object, buffer: ArrayBuffer): void
  /** Mappings of this process that are not unmapped yet. */
  liveMappings(): number
  /** Those that this processor can run, best first. */
  kernels: Partial<Record<Level, Kernels>>
}

export interface MappedArena {
  buffer: ArrayBuffer
  handle: object
  descriptor: number
  bytes: number
  page: number
}

/** What the user wants of the addon: environment variable `GRADMESH_NATIVE`, `off` or the name of a level. */
const wanted = process.env['GRADMESH_NATIVE'] ?? ''

/** Loads a part of the addon, once a thread. `mend` says how it comes to be. */
export function loadPart<T>(part: string): Part<T> {
  if (wanted === 'off') return { problem: 'GRADMESH_NATIVE=off' }
  try {
    const path = artifactOf(part)
    if (!existsSync(path)) return { problem: `it is not built; build it: node ${join(root, 'native', 'build.mjs')}` }
    return { module: createRequire(import.meta.url)(path) as T }
  } catch (error) {
    return { problem: (error as Error).message.split('\n')[0]! }
  }
}

const core = loadPart<Core>('core')

/** @throws InvalidParametersError when GRADMESH_NATIVE names a level that is not there */
function choose(): { level: Level; kernels: Kernels } {
  const levels = core.module?.kernels ?? {}
  const there = [...(Object.keys(levels) as Level[]), 'typescript']
  if (wanted !== '' && wanted !== 'off' && wanted !== 'on' && !there.includes(wanted)) {
    throw new InvalidParametersError(`GRADMESH_NATIVE=${wanted.slice(0, 40)}: this machine has off, ${there.join(', ')}`)
  }
  const level = (wanted in levels || wanted === 'typescript' ? wanted : there[0]) as Level
  return { level, kernels: levels[level] ?? twins }
}

const chosen = choose()

/** The kernels that do the work here. */
export const active: Kernels = chosen.kernels

/** The part with arenas, where it is built. */
export const coreModule: Core | undefined = core.module

/** What does the work in this process. */
export interface NativeReport {
  level: Level
  /** Whether memory can be shared with other threads and processes. */
  arenas: boolean
  /** Why the addon is not used, in words for a user. */
  problem?: string
}

/** What does the work in this process, and why it is not the addon. */
export function nativeReport(): NativeReport {
  return { level: chosen.level, arenas: core.module !== undefined, ...(core.problem === undefined ? {} : { problem: core.problem }) }
}

/** Every level that this machine can run, best first, with its kernels; unchecked: for tests and benchmarks. */
export function kernelLevels(): [Level, Kernels][] {
  return [...(Object.entries(core.module?.kernels ?? {}) as [Level, Kernels][]), ['typescript', twins]]
}
