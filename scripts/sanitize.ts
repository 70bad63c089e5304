// `npm run test:asan`, `npm run test:tsan`: builds each part's driver (test/native/drivers) with the part's own sources under a sanitizer,
// and runs it. ASan comes with UBSan and the leak check. `-- --part core` runs one part alone.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, sourcesOf } from '../native/artifact.mjs'
import { findCompiler, flagsOf, parts } from '../native/build.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { part: { type: 'string' } } })
const [kind, ...args] = positionals
const sanitizers = { asan: '-fsanitize=address,undefined', tsan: '-fsanitize=thread' }[kind as string]
const compiler = findCompiler()
if (sanitizers === undefined || compiler === undefined) {
  console.error(sanitizers === undefined ? 'usage: node scripts/sanitize.ts asan|tsan' : 'no C++ compiler: apt-get install g++')
  process.exit(2)
}

const drivers = join(root, 'test', 'native', 'drivers')
const folder = join(root, 'build', kind as string)
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(drivers).sort()) {
  const part = basename(name, '.cc')
  if (values.part !== undefined && values.part !== part) continue
  const { flags, needs } = parts[part] ?? { flags: [], needs: () => undefined }
  const problem = needs()
  if (problem !== undefined) {
    console.log(`${kind}: ${part}: skipped: ${problem}`)
    continue
  }
  // What binds a part to JavaScript stays out: it needs Node to run in.
  const sources = sourcesOf(part).filter(file => file.endsWith('.cc') && !/<napi\.h>|"binding\.h"/.test(readFileSync(file, 'utf8')))
  const common = [...compiler.extra, sanitizers, '-fno-sanitize-recover=all', '-g', '-O1', `-I${join(root, 'native', 'src')}`]
  const objects = [join(drivers, name), ...sources].map(file => {
    const object = join(folder, `${part}-${basename(file, '.cc')}.o`)
    run(compiler.command, [...flagsOf(file), ...common, '-c', file, '-o', object])
    return object
  })
  const program = join(folder, part)
  run(compiler.command, [...objects, sanitizers, '-pthread', ...flags.filter(flag => flag.startsWith('-l')), '-o', program])
  console.log(`${kind}: ${part}`)
  run(program, args)
}

function run(command: string, args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}
