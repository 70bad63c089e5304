// `npm test [-- ARGS]`: style, types, then the tests; ARGS (test files, tap's options) go to tap.
import { biome, step, tap, tsc } from './steps.ts'

step(biome, ['check', '--error-on-warnings', '.'])
step(tsc, ['--noEmit', '-p', 'tsconfig.json'])
step(tap, ['--jobs', '2', ...process.argv.slice(2)])
