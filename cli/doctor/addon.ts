import type { Finding, Machine } from './finding.ts'

/** The native layer: shared memory, and kernels in C++. */
export async function checkAddon(machine: Machine): Promise<Finding[]> {
  const { level, arenas, problem } = await machine.native()
  if (problem === undefined) {
    return [{ check: 'addon', standing: 'ok', message: `kernels for ${level}${arenas ? ', shared memory' : ''}` }]
  }
  const message = `the native layer is not used: ${problem}; everything runs in TypeScript, more slowly`
  const mend = 'install a C++ compiler (Debian: apt-get install g++), then npm rebuild gradmesh, or npm install in a clone'
  return [{ check: 'addon', standing: 'lacks', message, mend }]
}
