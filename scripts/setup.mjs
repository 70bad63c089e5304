// Brings a clone to the state in which everything runs: dependencies as package-lock.json names them, the `mesh` link, the
// native layer where there is a compiler. Quick when nothing is missing. Plain JavaScript: the Node that runs this may be too old for the project itself.
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { projectNode } from '../cli/relaunch.mjs'
import { needsBuilding } from '../native/artifact.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** @returns {string} path of the project's Node; ends the process with one line when it cannot be had */
export function setup() {
  const stale = whyStale()
  if (stale !== undefined) install(stale)
  link()
  if (needsBuilding('core')) spawnSync(process.execPath, [join(root, 'native', 'build.mjs'), '--optional'], { stdio: ['ignore', 2, 2] })
  const node = projectNode(root)
  if (node === undefined) fail('node_modules/.bin/node is missing after the installation: npm ci with development dependencies brings it')
  return node
}

/** Why the installed packages are not those of the lock file; undefined when they are. */
function whyStale() {
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  if (installed === undefined) return 'no packages are installed'
  const locked = packagesOf(join(root, 'package-lock.json')) ?? {}
  for (const [path, { version, optional }] of Object.entries(locked)) {
    // Optional packages are those of other platforms, too.
    if (path === '' || optional) continue
    if (installed[path]?.version !== version) return `${path.slice('node_modules/'.length)} is not at ${version}`
  }
  return projectNode(root) === undefined ? 'the project’s Node is missing' : undefined
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

function install(why) {
  console.error(`installing packages (${why})`)
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  // Production installations of this very folder have no tests to run and no Node to run them with.
  const env = { ...process.env, NODE_ENV: '', npm_config_omit: '' }
  const { status, error } = spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2], env })
  if (error) fail(`cannot run npm: ${error.message}`)
  if (status !== 0) fail('npm ci failed; its messages are above')
}

/** Makes `npx mesh` run this clone: npm links the commands of dependencies only. */
export function link() {
  const path = join(root, 'node_modules', '.bin', 'mesh')
  if (existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(dirname(path), { recursive: true })
  try {
    symlinkSync(join('..', '..', 'cli', 'launcher.mjs'), path)
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv[2] === '--link') link()
  else setup()
}
