#!/usr/bin/env node
// The `mesh` command's first step, readable by an old Node: finds a Node that can run the rest, and the rest.
import { existsSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { dieWithRelauncher, isNewEnough, isRelaunched, OLDEST, projectNode, relaunch } from './relaunch.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const source = join(here, 'main.ts')
const built = join(here, '..', 'dist', 'cli', 'main.js')
const self = fileURLToPath(import.meta.url)
const args = process.argv.slice(2)
// A source tree is run from its sources, so that an old build never answers for new code.
const fromSource = existsSync(source)
const stripsTypes = Boolean(process.features.typescript)

function fail(message) {
  console.error(message)
  process.exit(2)
}

async function run(path) {
  useCompileCache()
  quietTypeStripping()
  dieWithRelauncher()
  const { main } = await import(pathToFileURL(path).href)
  await main(args)
}

/** Compiled code is kept from start to start, that of the processes this one will start too. */
function useCompileCache() {
  module.enableCompileCache?.()
  const folder = module.getCompileCacheDir?.()
  if (folder !== undefined) process.env.NODE_COMPILE_CACHE ??= dirname(folder)
}

/** Node 22 and 23 warn on every start that they strip types; the user of a command cannot do anything about it. */
function quietTypeStripping() {
  const emit = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).startsWith('Type Stripping')) emit.call(process, warning, ...rest)
  }
}

const newer = projectNode(here)
if (!isNewEnough(process.versions.node)) {
  if (newer === undefined || isRelaunched()) {
    fail(
      `mesh needs Node ${OLDEST.join('.')} or newer and this is ${process.versions.node}: install a newer Node, or run npm ci in a clone of gradmesh`
    )
  }
  relaunch(newer, [self, ...args])
} else if (fromSource && stripsTypes) {
  await run(source)
} else if (fromSource && !isRelaunched() && newer !== undefined) {
  relaunch(newer, [self, ...args])
} else if (fromSource && !process.execArgv.includes('--experimental-strip-types')) {
  relaunch(process.execPath, ['--experimental-strip-types', self, ...args])
} else if (existsSync(built)) {
  await run(built)
} else {
  fail(`mesh is not built: ${built} is missing; install gradmesh again, or run npm run build in a clone`)
}
