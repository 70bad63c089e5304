// `npm run bench -- NAME [ARGS]`: bench/NAME.ts; without a name, lists them.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './steps.ts'

const folder = join(root, 'bench')
const [name, ...args] = process.argv.slice(2)
const names = readdirSync(folder)
  .filter(file => file.endsWith('.ts') && !file.endsWith('-run.ts'))
  .map(file => file.slice(0, -'.ts'.length))
  .sort()
const path = join(folder, `${name}.ts`)
if (name === undefined || !/^[\w-]+$/.test(name) || !existsSync(path)) {
  console.error(`usage: npm run bench -- NAME [ARGS]; NAME is one of: ${names.join(', ')}`)
  process.exit(2)
}
process.argv = [process.argv[0] ?? 'node', path, ...args]
await import(pathToFileURL(path).href)
