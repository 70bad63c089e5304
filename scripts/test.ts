// `npm test [-- ARGS]`: style, types, then the tests; ARGS (test files, tap's options) go to tap.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { biome, root, step, tap, tsc } from './steps.ts'

step(biome, ['check', '--error-on-warnings', '.'])
step(tsc, ['--noEmit', '-p', 'tsconfig.json'])
// Freshly installed, tap carries its compiler plugin whatever .taprc says; it has to be built once without. The mark goes with node_modules.
const built = join(root, 'node_modules/.cache/gradmesh/tap-built')
if (!existsSync(built)) {
  step(tap, ['build'])
  mkdirSync(dirname(built), { recursive: true })
  writeFileSync(built, '')
}
step(tap, ['--jobs', '2', ...process.argv.slice(2)])
