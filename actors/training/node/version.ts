import { readFileSync } from 'node:fs'

/** This package's version. The manifest lies at the root of the source tree and one level above the built one. */
export const version: string = read()

function read(): string {
  for (let folder = new URL('./', import.meta.url); ; folder = new URL('../', folder)) {
    try {
      const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { name?: string; version?: string }
      if (manifest.name === 'gradmesh') return manifest.version ?? '0.0.0'
    } catch {}
    if (folder.pathname === '/') return '0.0.0'
  }
}
