// starts processes
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { version } from '../../actors/training/node/version.ts'
import { isNewEnough, OLDEST, projectNode } from '../../cli/relaunch.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const launcher = join(root, 'cli', 'launcher.mjs')
const relaunch = pathToFileURL(join(root, 'cli', 'relaunch.mjs')).href

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gm-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Relaunches a program that does `body`, then prints its process id. */
function start(
  t: Test,
  body: string
): { parent: ChildProcess; child: Promise<number>; ended: Promise<[number | null, NodeJS.Signals | null]> } {
  const path = folder(t)
  writeFileSync(
    join(path, 'child.mjs'),
    `import { dieWithRelauncher } from '${relaunch}'\ndieWithRelauncher()\n${body}\nconsole.log(process.pid)`
  )
  writeFileSync(
    join(path, 'parent.mjs'),
    `import { relaunch } from '${relaunch}'\nrelaunch(process.execPath, ['${join(path, 'child.mjs')}'])`
  )
  const parent = spawn(process.execPath, [join(path, 'parent.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
  const child = new Promise<number>(resolve => parent.stdout?.once('data', data => resolve(Number(String(data).split('\n')[0]))))
  const ended = new Promise<[number | null, NodeJS.Signals | null]>(resolve =>
    parent.once('exit', (code, signal) => resolve([code, signal]))
  )
  t.teardown(() => parent.kill('SIGKILL'))
  return { parent, child, ended }
}

const wait = 'setInterval(() => {}, 1000)\n'

t.test('versions are compared by number', async t => {
  t.equal(isNewEnough(OLDEST.join('.')), true)
  t.equal(isNewEnough('22.9.9'), false)
  t.equal(isNewEnough('20.20.2'), false)
  t.equal(isNewEnough('100.0.0'), true)
})

t.test("the project's Node is looked for upwards", async t => {
  const path = folder(t)
  mkdirSync(join(path, 'node_modules', '.bin'), { recursive: true })
  mkdirSync(join(path, 'a', 'b'), { recursive: true })
  t.equal(projectNode(join(path, 'a', 'b')), undefined)
  symlinkSync(process.execPath, join(path, 'node_modules', '.bin', 'node'))
  t.equal(projectNode(join(path, 'a', 'b')), join(path, 'node_modules', '.bin', 'node'))
})

t.test('the exit code of a relaunched program is its own', async t => {
  t.same(await start(t, 'process.exitCode = 7').ended, [7, null])
})

t.test('signals reach it, and its end by a signal is seen outside', async t => {
  const polite = start(t, `process.on('SIGINT', () => process.exit(130))\n${wait}`)
  await polite.child
  polite.parent.kill('SIGINT')
  t.same(await polite.ended, [130, null])
  const rude = start(t, wait)
  await rude.child
  rude.parent.kill('SIGTERM')
  t.same(await rude.ended, [null, 'SIGTERM'])
})

t.test('who kills the relauncher kills the program', async t => {
  const { parent, child, ended } = start(t, `process.on('SIGTERM', () => {})\n${wait}`)
  const pid = await child
  parent.kill('SIGKILL')
  await ended
  while (isAlive(pid)) await new Promise(setImmediate)
  t.pass('it is gone')
})

t.test('the launcher runs the command from the sources, or what is built', async t => {
  const run = (path: string, ...args: string[]) => spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' })
  t.match(run(launcher, '--version'), { status: 0, stdout: `${version}\n`, stderr: '' })
  t.match(run(launcher, 'status', '--node', 'nobody'), { status: 2, stdout: '', stderr: /no node called 'nobody'/ })

  // A package: the launcher beside dist/, no sources.
  const path = folder(t)
  mkdirSync(join(path, 'cli'))
  for (const name of ['launcher.mjs', 'relaunch.mjs']) symlinkSync(join(root, 'cli', name), join(path, 'cli', name))
  const linked = spawnSync(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', join(path, 'cli', 'launcher.mjs')], {
    encoding: 'utf8'
  })
  t.match(linked, { status: 2, stderr: /mesh is not built: .*main.js is missing/ })
  mkdirSync(join(path, 'dist', 'cli'), { recursive: true })
  writeFileSync(join(path, 'dist', 'cli', 'package.json'), '{"type":"module"}')
  writeFileSync(join(path, 'dist', 'cli', 'main.js'), 'export const main = async args => console.log("built", ...args)')
  const built = spawnSync(
    process.execPath,
    ['--preserve-symlinks', '--preserve-symlinks-main', join(path, 'cli', 'launcher.mjs'), 'a', 'b'],
    {
      encoding: 'utf8'
    }
  )
  t.match(built, { status: 0, stdout: 'built a b\n' })
})

t.test('an old Node hands over to a newer one, or says that there is none', async t => {
  const old = oldNode()
  if (old === undefined) {
    t.comment('no Node older than', OLDEST.join('.'), 'is on this machine: nothing to try')
    return
  }
  const run = (path: string) => spawnSync(old, [path, '--version'], { encoding: 'utf8' })
  t.match(run(launcher), { status: 0, stdout: `${version}\n`, stderr: '' })
  const path = folder(t)
  for (const name of ['launcher.mjs', 'relaunch.mjs']) symlinkSync(join(root, 'cli', name), join(path, name))
  const alone = spawnSync(old, ['--preserve-symlinks', '--preserve-symlinks-main', join(path, 'launcher.mjs')], { encoding: 'utf8' })
  t.match(alone, { status: 2, stderr: /mesh needs Node 22.13 or newer and this is/ })
  t.equal(alone.stderr.trim().split('\n').length, 1)
})

function oldNode(): string | undefined {
  return ['/usr/bin/node', '/usr/local/bin/node']
    .filter(path => existsSync(path))
    .find(path => !isNewEnough(execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim()))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that nobody waits for stays as a zombie where the first process of a container does not look after orphans.
    return !existsSync('/proc/self/stat') || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
