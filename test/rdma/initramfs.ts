import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

interface Entry {
  path: string
  mode: number
  data?: Uint8Array
  device?: [number, number]
}

/** A kernel's initial file system: what `cpio -H newc` would write. */
export function cpio(entries: Entry[]): Buffer {
  const parts: Buffer[] = []
  const hex = (n: number) => n.toString(16).padStart(8, '0')
  for (const [i, { path, mode, data = new Uint8Array(0), device = [0, 0] }] of [...entries, { path: 'TRAILER!!!', mode: 0 }].entries()) {
    const name = Buffer.from(`${path}\0`)
    const fields = [i + 1, mode, 0, 0, 1, 0, data.length, 0, 0, device[0], device[1], name.length, 0]
    const head = Buffer.concat([Buffer.from(`070701${fields.map(hex).join('')}`), name])
    parts.push(head, Buffer.alloc(-head.length & 3), Buffer.from(data), Buffer.alloc(-data.length & 3))
  }
  return Buffer.concat(parts)
}

/** Files of the kernel modules `names` and of all that they depend on, in the order in which they can be loaded. */
export function modules(folder: string, names: readonly string[]): string[] {
  const files = new Map<string, string>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.name.endsWith('.ko')) files.set(canonical(basename(entry.name, '.ko')), join(entry.parentPath, entry.name))
  }
  const ordered: string[] = []
  const add = (name: string) => {
    const file = files.get(canonical(name))
    // what is no file is built into the kernel
    if (file === undefined || ordered.includes(file)) return
    const depends = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1'))?.[1] ?? ''
    for (const other of depends.split(',').filter(Boolean)) add(other)
    ordered.push(file)
  }
  for (const name of names) add(name)
  return ordered
}

function canonical(name: string): string {
  return name.replaceAll('-', '_')
}

/** @param init - the script that the kernel runs */
export function initramfs(busybox: string, moduleFiles: readonly string[], init: string): Buffer {
  const folder = 0o040755
  return cpio([
    ...['bin', 'dev', 'proc', 'sys', 'host', 'modules'].map(path => ({ path, mode: folder })),
    { path: 'dev/console', mode: 0o020600, device: [5, 1] },
    { path: 'bin/busybox', mode: 0o100755, data: readFileSync(busybox) },
    ...moduleFiles.map(file => ({ path: `modules/${basename(file)}`, mode: 0o100644, data: readFileSync(file) })),
    { path: 'init', mode: 0o100755, data: Buffer.from(init) }
  ])
}
