import { readFileSync } from 'node:fs'

/** The package's version; this file lies one folder deeper in the built package. */
export const version: string = read('../package.json') ?? read('../../package.json') ?? 'unknown'

function read(path: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
    return name === 'gradmesh' ? version : undefined
  } catch {
    return undefined
  }
}
