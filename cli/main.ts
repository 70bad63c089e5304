import type { World } from './context.ts'
import { INTERRUPTED, run } from './program.ts'
import { isRelaunched } from './relaunch.mjs'

/** Signals that ask a process to end. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A wrapper (npm, an older Node) hands on the signal that the terminal gave the whole group: the same wish again, within this time, ms. */
const ECHO = 300

/** After its work is done, a process that something still keeps alive ends by force, ms. */
const LINGER = 2000

/** The `mesh` command in this process. @param args - without the program's name */
export async function main(args: string[]): Promise<void> {
  // A reader that goes away (`| head`) wants no more lines; that is no failure.
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
    throw error
  })
  process.exitCode = await run(args, world())
  // What is still open after an interruption was left so on purpose.
  if (process.exitCode === INTERRUPTED) process.exit()
  setTimeout(() => process.exit(), LINGER).unref()
}

function world(): World {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    now: () => performance.now(),
    date: () => new Date(),
    onInterrupt,
    // Commands that only talk to a node start without loading the network and the engine.
    startNode: async options => (await import('../actors/training/index.ts')).startNode(options),
    startEmbedded: async options => (await import('../actors/training/index.ts')).startEmbedded(options)
  }
}

function onInterrupt(handler: () => void): () => void {
  let last = Number.NEGATIVE_INFINITY
  const wrapped = isRelaunched() || /\bmesh\b/.test(process.env['npm_lifecycle_script'] ?? '')
  const echo = wrapped ? ECHO : 0
  const listener = () => {
    const now = performance.now()
    if (now - last < echo) return
    last = now
    handler()
  }
  for (const signal of SIGNALS) process.on(signal, listener)
  return () => {
    for (const signal of SIGNALS) process.removeListener(signal, listener)
  }
}
