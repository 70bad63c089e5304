// Plain JavaScript that an old Node also reads: runs a program under a newer Node as if it were this very process.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'

/** Environment variable that holds the process id of the relauncher; a grandchild that inherits it sees that it is not its own. */
const MARK = 'GRADMESH_RELAUNCHER'

/** Oldest Node the project runs on. */
export const OLDEST = [22, 13]

/** @param {string} version - as `process.versions.node` */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

/** Path of the binary that the npm package `node` left in the nearest `node_modules` at or above `folder`; undefined when there is none. */
export function projectNode(folder) {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, 'node_modules', '.bin', 'node')
    if (existsSync(path)) return path
    if (dirname(at) === at) return undefined
  }
}

/**
 * Runs `node ...args` in place of this process: the same terminal, signals handed on, and its end (exit code or signal) is this
 * process's end. The child is told by the channel between the two when this process dies without a word.
 *
 * @param {string} node
 * @param {string[]} args
 * @param {Record<string, string>} [env] - added to this process's own
 */
export function relaunch(node, args, env = {}) {
  const child = spawn(node, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env, [MARK]: String(process.pid) }
  })
  const forward = signal => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']
  for (const signal of signals) process.on(signal, forward)
  child.on('error', error => {
    console.error(`cannot run ${node}: ${error.message}`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => {
    for (const s of signals) process.removeListener(s, forward)
    if (signal === null) process.exit(code ?? 1)
    process.kill(process.pid, signal)
    // A signal that this process cannot die of leaves the shell's code for it.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100)
  })
}

/** Whether `relaunch` started this process. */
export function isRelaunched() {
  return process.env[MARK] === String(process.ppid)
}

/**
 * Called by the program that `relaunch` started: when its parent is gone, so is it, at once and by the same means, because whoever
 * killed the parent knew only that one.
 */
export function dieWithRelauncher() {
  if (!isRelaunched() || process.channel === undefined) return
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.channel.unref()
}
