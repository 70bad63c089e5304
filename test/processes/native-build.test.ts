// starts processes
// What the native layer's build and choice do on machines unlike this one.
import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { kernelLevels } from '../../native/index.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const folder = mkdtempSync(join(tmpdir(), 'gm-'))
t.teardown(() => rmSync(folder, { recursive: true }))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function run(args: string[], env: Record<string, string>): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr })
    })
  })
}

// A copy of the package that nothing was built in, on a machine whose path has no compiler.
const bare = join(folder, 'bare')
mkdirSync(bare)
cpSync(join(root, 'native'), join(bare, 'native'), { recursive: true })
cpSync(join(root, 'common'), join(bare, 'common'), { recursive: true })
writeFileSync(join(bare, 'package.json'), JSON.stringify({ name: 'gradmesh', type: 'module' }))
symlinkSync(join(root, 'node_modules'), join(bare, 'node_modules'))
const noCompiler = { PATH: folder, CXX: '', GRADMESH_NATIVE: '' }
const report = (at: string) => [
  '--input-type=module',
  '--eval',
  `const { nativeReport } = await import(${JSON.stringify(pathToFileURL(join(at, 'native/index.ts')).href)}); console.log(JSON.stringify(nativeReport()))`
]

t.test('an installation without a compiler succeeds and says what is missing', async t => {
  const optional = await run([join(bare, 'native/build.mjs'), '--optional'], noCompiler)
  t.equal(optional.code, 0)
  t.match(optional.stderr, /no C\+\+ compiler; install one/)
  t.match(optional.stderr, /runs without it/)
  t.equal((await run([join(bare, 'native/build.mjs')], noCompiler)).code, 1, 'asked for by itself, the build says that it failed')
  const { stdout } = await run(report(bare), noCompiler)
  t.match(JSON.parse(stdout), { level: 'typescript', arenas: false, problem: /not built; build it: node .*build\.mjs/ })
})

t.test('GRADMESH_NATIVE says what does the work', async t => {
  for (const [level] of kernelLevels()) {
    t.match(JSON.parse((await run(report(root), { GRADMESH_NATIVE: level })).stdout), { level })
  }
  t.match(JSON.parse((await run(report(root), { GRADMESH_NATIVE: 'off' })).stdout), { level: 'typescript', problem: 'GRADMESH_NATIVE=off' })
  const wrong = await run(report(root), { GRADMESH_NATIVE: 'abacus' })
  t.match(wrong.stderr, /GRADMESH_NATIVE=abacus: this machine has off, .*typescript/)
  t.equal((await run([join(bare, 'native/build.mjs')], { ...noCompiler, GRADMESH_NATIVE: 'off' })).stderr, '', 'nothing is built either')
})

t.test('what was built of other sources is not loaded', async t => {
  const { artifactOf } = (await import(pathToFileURL(join(bare, 'native/artifact.mjs')).href)) as { artifactOf(part: string): string }
  const before = artifactOf('core')
  mkdirSync(dirname(before), { recursive: true })
  appendFileSync(join(bare, 'native/src/core/module.cc'), '\n')
  t.not(artifactOf('core'), before)
  writeFileSync(artifactOf('core'), 'no library')
  const { stdout } = await run(report(bare), noCompiler)
  t.match(JSON.parse(stdout), { level: 'typescript', problem: /\S/ }, 'and what cannot be loaded is told, not thrown')
})
