// Holds the structure of docs/architecture.md: what a room may import, what a protocol core may touch, how long a file may be.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** What each room of the product may import besides itself; rooms by the longest prefix of a path. */
const rooms: Record<string, string[]> = {
  common: [],
  native: ['common'],
  models: ['common'],
  datasets: ['common'],
  mesh: ['common', 'native'],
  'mesh/simulation': ['common', 'native', 'mesh'],
  'actors/runtime': ['common', 'native', 'mesh'],
  'actors/training': ['common', 'native', 'mesh', 'mesh/simulation', 'actors/runtime', 'models', 'datasets'],
  cli: ['common', 'native', 'mesh', 'actors/runtime', 'actors/training', 'models', 'datasets'],
  '.': ['common', 'native', 'mesh', 'actors/runtime', 'actors/training', 'models', 'datasets']
}

/** Folders that are not part of the product and may import anything; nothing of the product imports them. */
const around = ['test', 'bench', 'examples', 'scripts']

/** Imports past another room's index.ts, each with its reason. `from` and `to` are prefixes. */
const pastTheFace: { from: string; to: string; reason: string }[] = [
  {
    from: 'cli/',
    to: 'actors/training/service-types.ts',
    reason: 'imports nothing itself: commands that only talk to a running node start without loading libp2p and ONNX Runtime'
  },
  { from: 'cli/', to: 'actors/training/node/version.ts', reason: 'the same; it reads one file' },
  { from: 'cli/', to: 'actors/training/simulation/index.ts', reason: 'simulated runs start without loading libp2p' },
  { from: 'cli/', to: 'mesh/state/index.ts', reason: 'the same; it tells where state folders are' },
  { from: 'cli/', to: 'mesh/admission/index.ts', reason: 'the same; it writes key files' },
  {
    from: 'actors/training/trainer/',
    to: 'mesh/bulk/index.ts',
    reason: "a trainer's process moves bulk bytes and nothing else of the mesh: it starts without loading libp2p"
  },
  { from: 'index.ts', to: 'common/errors.ts', reason: "the package's face shows the errors and not the rest of the ground" }
]

/** Files that may be longer than the limit, each with its reason. */
const longFiles: Record<string, string> = {}
const LINES = 400

/** What no protocol core may touch: its time, timers and randomness come from `env` and effects. */
const forbiddenNames = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'randomUUID',
  'randomBytes',
  'getRandomValues',
  'hrtime'
])
const forbiddenMembers = new Set(['Date.now', 'performance.now', 'Math.random', 'process.nextTick', 'crypto.subtle'])

const sources = list('**/*.{ts,mts,mjs,js}').filter(path => !path.endsWith('.d.mts'))
const product = sources.filter(path => roomOf(path) !== undefined)

t.test('imports go downwards only, and to another room only through its index.ts', async t => {
  const wrong: string[] = []
  for (const path of product) {
    const from = roomOf(path) as string
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) continue
      const target = posix.normalize(posix.join(posix.dirname(path), specifier))
      const to = roomOf(target)
      if (to === undefined) {
        if (target !== 'package.json') wrong.push(`${path} imports ${target}, which is no part of the product`)
        continue
      }
      if (to === from) continue
      if (!rooms[from]?.includes(to)) wrong.push(`${path} imports ${target}: ${from} may not import ${to}`)
      else if (target !== `${to}/index.ts` && !excused(path, target)) wrong.push(`${path} imports ${target} past ${to}/index.ts`)
    }
  }
  t.same(wrong, [])
})

t.test('the simulated world is imported by tests, tools and simulated training only', async t => {
  const wrong = product
    .filter(path => roomOf(path) !== 'mesh/simulation' && !path.startsWith('actors/training/simulation/'))
    .filter(path => importsOf(path).some(specifier => specifier.includes('mesh/simulation/')))
  t.same(wrong, [])
})

t.test('every room has a face with a module comment and an example', async t => {
  const wrong = Object.keys(rooms)
    .filter(room => product.some(path => roomOf(path) === room))
    .filter(room => room !== 'cli')
    .map(room => posix.join(room, 'index.ts'))
    .filter(path => !existsSync(join(root, path)) || !/@packageDocumentation[\s\S]*@example/.test(read(path)))
  t.same(wrong, [])
})

t.test('the product imports only packages that are dependencies, and depends on none in vain', async t => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const listed = new Set(Object.keys(dependencies))
  const used = new Set<string>()
  const wrong: string[] = []
  for (const path of [...product, ...list('**/pb/**/*.ts')]) {
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
      if (builtinModules.includes(specifier)) {
        wrong.push(`${path} imports ${specifier} without node:`)
        continue
      }
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
      used.add(name)
      if (!listed.has(name)) wrong.push(`${path} imports ${name}, which package.json does not list under dependencies`)
    }
  }
  for (const name of listed) if (!used.has(name)) wrong.push(`nothing imports ${name}`)
  t.same(wrong, [])
})

t.test('protocol cores touch no clock, timer, randomness or I/O', async t => {
  const wrong: string[] = []
  const cores = product.filter(isCore)
  for (const path of cores) {
    for (const specifier of importsOf(path)) if (specifier.startsWith('node:')) wrong.push(`${path} imports ${specifier}`)
    visit(parse(path), node => {
      if (ts.isIdentifier(node) && forbiddenNames.has(node.text)) wrong.push(`${path} mentions ${node.text}`)
      if (ts.isPropertyAccessExpression(node) && forbiddenMembers.has(node.getText())) wrong.push(`${path} mentions ${node.getText()}`)
      if (ts.isNewExpression(node) && node.expression.getText() === 'Date') wrong.push(`${path} mentions new Date`)
    })
  }
  t.ok(cores.length > 0, 'there are cores')
  t.same(wrong, [])
})

t.test(`no file is over ${LINES} lines without a listed reason`, async t => {
  const all = [...sources, ...list('**/*.{cc,h,cpp,proto}')]
  const wrong = all
    .map(path => ({ path, lines: read(path).split('\n').length - 1 }))
    .filter(({ path, lines }) => lines > LINES && longFiles[path] === undefined)
    .map(({ path, lines }) => `${path} has ${lines} lines`)
  const needless = Object.keys(longFiles).filter(path => !existsSync(join(root, path)) || read(path).split('\n').length - 1 <= LINES)
  t.same(wrong, [])
  t.same(needless, [], 'no reason is listed for a file that needs none')
})

t.test('a file that is started by its path is found in the built package too', async t => {
  const wrong = product.filter(path => /new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(read(path)))
  t.same(wrong, [], 'dist/ holds .js files: take the ending from import.meta.url')
})

t.test('no file names a folder of one machine', async t => {
  const texts = [...sources, ...list('**/*.{md,json,sh,cc,h,proto}'), ...list('.ci/*')]
  const wrong = texts.filter(path => /(?<![\w.:-])\/(?:work|home|root|Users)\/\w/.test(read(path)))
  t.same(wrong, [])
})

t.test('no test runs alone', async t => {
  const wrong = list('test/**/*.ts').filter(path => /\b(?:t|tap|test)\.only\(/.test(read(path)))
  t.same(wrong, [])
})

t.test('the lock file names no registry', async t => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> }
  const wrong = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)
  t.same(wrong, [], 'npm install with omit-lockfile-registry-resolved=true, as .npmrc has it')
})

function isCore(path: string): boolean {
  const name = posix.basename(path)
  if (name === 'core.ts' || name.endsWith('-core.ts')) return true
  return /^actors\/training\/(exchange\/|ledger)/.test(path)
}

function excused(path: string, target: string): boolean {
  return pastTheFace.some(({ from, to }) => path.startsWith(from) && target.startsWith(to))
}

/** The room a path of the product lies in; undefined for what is around it. */
function roomOf(path: string): string | undefined {
  if (!path.includes('/')) return path === 'index.ts' ? '.' : undefined
  if (around.some(folder => path.startsWith(`${folder}/`))) return undefined
  return Object.keys(rooms)
    .filter(room => path.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0]
}

/** Source paths with forward slashes, generated code and what git ignores left out. */
function list(pattern: string): string[] {
  const generated = !pattern.includes('/pb/')
  return globSync(pattern, { cwd: root, exclude: ['node_modules', 'dist', '.tap', 'runs', 'build', '**/build', 'coverage', '.git'] })
    .map(path => path.replaceAll('\\', '/'))
    .filter(path => !(generated && path.includes('/pb/')))
    .sort()
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Every module a file imports, also dynamically and for types only. */
function importsOf(path: string): string[] {
  return ts.preProcessFile(read(path), true, true).importedFiles.map(file => file.fileName)
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
}

function visit(node: ts.Node, each: (node: ts.Node) => void): void {
  each(node)
  ts.forEachChild(node, child => visit(child, each))
}
