// `npm run test:rdma [-- --require]`: boots a virtual machine whose kernel has Soft-RoCE, with this very tree read-only, and runs
// test/rdma/inside.ts there: over real verbs, in software. Without qemu or root's packages it skips and says why; --require makes that a failure.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findCompiler, flagsOf } from '../native/build.mjs'
import { initramfs, modules } from '../test/rdma/initramfs.ts'
import { root } from './steps.ts'

const INSIDE = 'node test/rdma/inside.ts'

const { values } = parseArgs({
  options: {
    /** What to run there. */
    run: { type: 'string', default: INSIDE },
    require: { type: 'boolean', default: false }
  }
})

const TIME_LIMIT = 8 * 60_000
const PASSED = 'rdma inside: passed'
const packages = [
  'qemu-system-x86',
  'busybox-static',
  'libucx-dev',
  'rdma-core',
  'ibverbs-providers',
  'ibverbs-utils',
  'perftest',
  'iproute2'
]
const wanted = ['virtio_pci', '9pnet_virtio', '9p', 'dummy', 'crc32_generic', 'rdma_rxe', 'ib_uverbs', 'rdma_ucm', 'ib_umad']
/** What the firmware sends to clear the screen. */
const TERMINAL = new RegExp(`${String.fromCharCode(27)}(c|\\[[0-9;?]*[A-Za-z])`, 'g')
const cache = join(root, 'build', 'rdma')

function skip(why: string): never {
  console.log(`test:rdma skipped: ${why}`)
  process.exit(values.require ? 1 : 0)
}

function run(command: string, args: string[], cwd?: string): string | undefined {
  const { status, stdout } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  })
  return status === 0 ? stdout : undefined
}

function install(): void {
  const missing = packages.filter(name => !run('dpkg-query', ['-W', '-f', `$${'{db:Status-Status}'}`, name])?.startsWith('installed'))
  if (missing.length === 0) return
  console.log(`installing ${missing.join(', ')}`)
  const as = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const apt = (...args: string[]) => run([...as, 'apt-get'][0]!, [...[...as, 'apt-get'].slice(1), ...args])
  if (apt('install', '-y', '-qq', '--no-install-recommends', ...missing) !== undefined) return
  if (apt('update', '-qq') === undefined) skip(`apt-get cannot be used here; install ${missing.join(', ')} first`)
  if (apt('install', '-y', '-qq', '--no-install-recommends', ...missing) === undefined) skip(`apt-get cannot install ${missing.join(', ')}`)
}

/** Debian's kernel, unpacked beside the tree and not installed. */
function kernel(): { image: string; modules: string; version: string } {
  const found = () => {
    const version = existsSync(join(cache, 'lib/modules')) ? readdirSync(join(cache, 'lib/modules'))[0] : undefined
    if (version === undefined) return undefined
    return { image: join(cache, 'boot', `vmlinuz-${version}`), modules: join(cache, 'lib/modules', version), version }
  }
  const there = found()
  if (there !== undefined) return there
  const name = /Depends: (linux-image-\d\S+)/.exec(run('apt-cache', ['depends', 'linux-image-amd64']) ?? '')?.[1]
  if (name === undefined) skip('apt-get knows no package linux-image-amd64')
  mkdirSync(cache, { recursive: true })
  console.log(`unpacking ${name}, without installing it`)
  if (run('apt-get', ['download', '-qq', name], cache) === undefined) skip(`apt-get cannot download ${name}`)
  const file = readdirSync(cache).find(entry => entry.startsWith(name) && entry.endsWith('.deb'))
  if (file === undefined || run('dpkg-deb', ['-x', join(cache, file), cache]) === undefined) skip(`${name} cannot be unpacked`)
  rmSync(join(cache, file))
  return found() ?? skip(`${name} holds no kernel`)
}

/** What the kernel runs first: modules, the host's files read-only, Soft-RoCE on an interface of its own, then the tests. */
function init(names: string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
${names.map(name => `insmod /modules/${name} || echo "module ${name} does not load"`).join('\n')}
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host || echo 'no files of the host'
for d in proc sys dev; do mount --bind /$d /host/$d; done
mkdir -p /dev/shm
for d in tmp run dev/shm var/tmp; do mount -t tmpfs tmpfs /host/$d; done
ulimit -l unlimited
export PATH=${join(root, 'node_modules', '.bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp
chroot /host /bin/sh -c 'ip link set lo up; ip link add dummy0 type dummy 2>/dev/null; ip addr add 10.77.0.1/24 dev dummy0; ip link set dummy0 up mtu 4200; rdma link add rxe0 type rxe netdev dummy0'
chroot /host /bin/sh -c 'cd ${root} && ${values.run}'
poweroff -f
`
}

/** The native part's own driver (test/native/drivers), as a program for the machine. */
function buildDriver(): void {
  const compiler = findCompiler()
  if (compiler === undefined) skip('there is no C++ compiler; apt-get install g++')
  const sources = ['worker.cc', 'endpoint.cc'].map(name => join(root, 'native/src/ucx', name))
  const flags = [...flagsOf('ucx.cc'), ...compiler.extra, `-I${join(root, 'native/src')}`]
  const driver = join(root, 'test/native/drivers/ucx.cc')
  if (run(compiler.command, [...flags, driver, ...sources, '-ldl', '-o', join(cache, 'driver')]) === undefined)
    skip('the driver cannot be built here')
}

if (process.platform !== 'linux' || process.arch !== 'x64') skip('it needs Linux on x86-64')
if (run('apt-get', ['--version']) === undefined || run('dpkg-deb', ['--version']) === undefined) skip('it needs apt-get (Debian or Ubuntu)')
install()
const { image, modules: folder, version } = kernel()
const files = modules(folder, wanted)
const initrd = join(cache, 'initramfs')
writeFileSync(initrd, initramfs('/bin/busybox', files, init(files.map(file => file.slice(file.lastIndexOf('/') + 1)))))
if (run(process.execPath, [join(root, 'native/build.mjs')]) === undefined) skip('the native layer cannot be built here')
buildDriver()

console.log(`kernel ${version} on an emulated processor, at most ${TIME_LIMIT / 60_000} minutes`)
const machine = spawn(
  'qemu-system-x86_64',
  [
    // KVM is not tried: where this machine is itself a virtual one it may end qemu in the middle
    ...[
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      '3072',
      '-nographic',
      '-no-reboot',
      '-net',
      'none',
      '-kernel',
      image,
      '-initrd',
      initrd
    ],
    ...['-append', 'console=ttyS0 quiet panic=-1 loglevel=3 random.trust_cpu=on no_timer_check'],
    ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap']
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] }
)
let output = ''
machine.stdout.on('data', (piece: Buffer) => {
  output = (output + piece).slice(-1_000_000)
  process.stdout.write(piece.toString().replaceAll(TERMINAL, ''))
})
const timer = setTimeout(() => machine.kill('SIGKILL'), TIME_LIMIT)
machine.on('error', error => skip(`qemu does not start: ${error.message}`))
machine.on('close', () => {
  clearTimeout(timer)
  // what somebody else wants to run there says itself how it went
  const passed = output.includes(PASSED) || values.run !== INSIDE
  console.log(passed ? 'test:rdma passed' : 'test:rdma failed: what went wrong is above')
  process.exit(passed ? 0 : 1)
})
