/**
 * Generates the codec of a `.proto` file beside it, in the folder `pb/`: `node scripts/protons.ts mesh/membership/membership.proto`.
 *
 * Protons writes TypeScript namespaces and enums, which Node's type stripping refuses. This turns each namespace into a constant
 * with `codec`, `encode` and `decode` (streaming decoders are left out: frames here are small and whole), and each enum into a
 * constant with both mappings and a union type of the same name.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

/** @returns erasable TypeScript with the same exports as protons' output `source` */
export function erasable(source: string, name: string): string {
  const enums = new Map<string, string[]>()
  let text = source
    .replace(/^export enum (\w+) \{\n([\s\S]*?)^\}\n/gm, (_, type: string, body: string) => {
      const names = Array.from(body.matchAll(/^ {2}(\w+) = /gm), m => m[1]!)
      enums.set(type, names)
      return `export type ${type} = ${names.map(n => `'${n}'`).join(' | ')}\n`
    })
    .replace(/^enum (__\w+Values) \{\n([\s\S]*?)^\}\n/gm, (_, values: string, body: string) => {
      const pairs = Array.from(body.matchAll(/^ {2}(\w+) = (-?\d+)/gm), m => [m[1]!, m[2]!])
      // protons-runtime looks enum values up both ways
      return `const ${values}: any = { ${pairs.map(([n, v]) => `${n}: ${v}, '${v}': '${n}'`).join(', ')} }\n`
    })
    .replace(/^export namespace (\w+) \{\n([\s\S]*?)^\}\n/gm, (_, type: string, body: string) => {
      const names = enums.get(type)
      if (names !== undefined) {
        const members = names.map(n => `  ${n}: '${n}',\n`).join('')
        return `export const ${type} = {\n${members}  codec: (): Codec<${type}> => enumeration<${type}>(__${type}Values)\n} as const\n`
      }
      const kept = body
        .replace(/^ {2}export interface [\s\S]*?^ {2}\}\n\n?/gm, '')
        .replace(/^ {2}export function stream [\s\S]*?^ {2}\}\n\n?/gm, '')
        .replace(/, function \* \(reader, length, prefix, opts = \{\}\) \{\n[\s\S]*?^ {6}\}\)/gm, ', function * () {})')
        .replace(/^ {2}export /gm, '  ')
        .trimEnd()
      return `export const ${type} = (() => {\n${kept}\n\n  return { codec, encode, decode }\n})()\n`
    })
  const code = text.replace(/^import .*$/gm, '')
  text = text.replace(/^import \{ (.*) \} from (.*)$/gm, (line, names: string, from: string) => {
    const used = names.split(', ').filter(n => new RegExp(`\\b${n.replace(/^.* as /, '')}\\b`).test(code))
    return used.length > 0 ? `import { ${used.join(', ')} } from ${from}` : line.replace(/^/, '// unused: ')
  })
  return `// @ts-nocheck\n// Generated from ${name} by scripts/protons.ts; do not edit.\n${text.replace(/^\/\/ unused: .*\n/gm, '')}`
}

function generate(proto: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'protons-'))
  try {
    const name = basename(proto, '.proto')
    const result = spawnSync(process.execPath, [join(root, 'node_modules/protons/dist/bin/protons.js'), proto, '--output', folder], {
      stdio: 'inherit'
    })
    if (result.status !== 0) throw new Error(`protons failed on ${proto}`)
    const target = join(dirname(proto), 'pb')
    mkdirSync(target, { recursive: true })
    writeFileSync(join(target, `${name}.ts`), erasable(readFileSync(join(folder, `${name}.ts`), 'utf8'), basename(proto)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  for (const proto of process.argv.slice(2)) generate(resolve(proto))
}
