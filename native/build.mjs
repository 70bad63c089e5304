// `node native/build.mjs [--optional] [--quiet]`: builds the parts of the addon that this machine can build, from headers that come
// with npm packages. Nothing is downloaded. With --optional a failure is one line and no error: the TypeScript twins do the work then.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { artifactOf, root, sourcesOf } from './artifact.mjs'

/**
 * The loadable parts, each a folder of native/src with its own module. `needs` says why a part cannot be built here, or undefined.
 */
export const parts = {
  core: { needs: () => undefined, flags: [] },
  shm: { needs: () => (process.platform === 'linux' ? undefined : 'shared memory between processes needs Linux'), flags: [] },
  ucx: {
    needs: () => (hasHeader('ucp/api/ucp.h') ? undefined : "UCX's headers are absent (Debian: apt-get install libucx-dev)"),
    flags: ['-ldl']
  }
}

/** Whether a header lies where the compiler looks for those of libraries. */
function hasHeader(name) {
  const folders = ['/usr/include', '/usr/local/include', ...(process.env.CPATH?.split(':') ?? [])]
  return folders.some(folder => existsSync(join(folder, name)))
}

/** No fast-math and no contraction: the bits are those of the TypeScript twins. Errno and traps of the C library are used nowhere. */
const FLAGS = [
  ...['-std=c++17', '-O2', '-Wno-psabi', '-ftree-vectorize', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fPIC'],
  ...[
    '-fvisibility=hidden',
    '-fno-strict-aliasing',
    '-Wall',
    '-Wextra',
    '-Wno-maybe-uninitialized',
    '-pthread',
    '-DNAPI_VERSION=8',
    '-DNAPI_CPP_EXCEPTIONS'
  ]
]

/** Instructions that a file may use; it is entered only where the processor has them. Contraction stays off: no FMA. */
const levels = {
  x64: {
    'avx2.cc': ['-mavx2', '-mf16c', '-mno-fma'],
    'avx512.cc': ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mf16c', '-mprefer-vector-width=512']
  }
}

/** The flags of one file, for builds of other kinds too. */
export function flagsOf(file) {
  return [...FLAGS, ...(levels[process.arch]?.[basename(file)] ?? [])]
}

/** @returns {{ command: string, version: string, extra: string[] } | undefined} the C++ compiler of this machine */
export function findCompiler() {
  for (const command of [process.env.CXX, 'g++', 'c++', 'clang++'].filter(Boolean)) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' })
    if (status !== 0) continue
    const version = stdout.split('\n')[0]
    // GCC's own estimate at -O2 refuses loops whose length it does not know.
    return { command, version, extra: /clang/i.test(stdout) ? [] : ['-fvect-cost-model=dynamic'] }
  }
  return undefined
}

/** Folders of Node-API's headers, from the packages that carry them. */
async function includes() {
  const [addonApi, headers] = await Promise.all([import('node-addon-api'), import('node-api-headers')])
  return [addonApi.default.include_dir, headers.default.include_dir].map(folder => `-I${folder}`)
}

/**
 * Builds what is not built yet.
 *
 * @returns {Promise<{ part: string, path?: string, problem?: string, built: boolean }[]>} what became of each part
 */
export async function buildAll({ say = () => {} } = {}) {
  const results = []
  for (const [part, { needs, flags }] of Object.entries(parts)) {
    const path = artifactOf(part)
    if (existsSync(path)) {
      results.push({ part, path, built: false })
      continue
    }
    try {
      const problem = needs()
      if (problem !== undefined) {
        results.push({ part, problem, built: false })
        continue
      }
      say(`building the native layer: ${part}`)
      await build(part, path, flags)
      results.push({ part, path, built: true })
    } catch (error) {
      results.push({ part, problem: error.message, built: false })
    }
  }
  return results
}

async function build(part, path, flags) {
  const compiler = findCompiler()
  if (compiler === undefined) throw new Error('there is no C++ compiler; install one (Debian: apt-get install g++)')
  const paths = await includes()
  const folder = join(root, 'build', 'native')
  mkdirSync(join(folder, 'objects'), { recursive: true })
  const sources = sourcesOf(part)
  const headers = createHash('sha256')
  for (const file of sources.filter(name => name.endsWith('.h'))) headers.update(readFileSync(file))
  const common = headers.digest('hex')
  const objects = []
  for (const file of sources.filter(name => name.endsWith('.cc'))) {
    const args = [...flagsOf(file), ...compiler.extra, ...flags.filter(flag => !flag.startsWith('-l'))]
    const hash = createHash('sha256')
      .update([compiler.version, common, ...args].join('\0'))
      .update(readFileSync(file))
    const object = join(folder, 'objects', `${hash.digest('hex').slice(0, 24)}.o`)
    objects.push(object)
    if (!existsSync(object)) compile(compiler.command, [...args, ...paths, '-c', file], object)
  }
  const link = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']
  compile(compiler.command, [...link, ...objects, '-pthread', ...flags.filter(flag => flag.startsWith('-l'))], path)
  // What was built of other sources is never loaded again.
  for (const name of readdirSync(folder)) {
    if (name.startsWith(`${part}-`) && name.endsWith('.node') && name !== basename(path)) rmSync(join(folder, name), { force: true })
  }
}

/** Writes to a name of its own first: two builds at once must not see each other's halves. */
function compile(command, args, output) {
  const temporary = `${output}.${process.pid}.part`
  try {
    execFileSync(command, [...args, '-o', temporary], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
    renameSync(temporary, output)
  } catch (error) {
    rmSync(temporary, { force: true })
    if (error.stderr) console.error(error.stderr.trim())
    throw new Error(`${command} failed on ${basename(String(args.at(-1)))}`)
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const optional = process.argv.includes('--optional')
  if (process.env.GRADMESH_NATIVE === 'off') process.exit(0)
  let failed = false
  try {
    for (const { part, problem } of await buildAll({ say: text => console.error(text) })) {
      if (problem === undefined) continue
      console.error(`native layer, ${part}: not built: ${problem}`)
      failed ||= part === 'core'
    }
  } catch (error) {
    console.error(`native layer: not built: ${error.message}`)
    failed = true
  }
  if (failed && optional) console.error('gradmesh runs without it, more slowly')
  process.exitCode = failed && !optional ? 1 : 0
}
