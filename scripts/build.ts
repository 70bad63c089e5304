// `npm run build`: dist/ from nothing, so that what was deleted from the sources is not packed.
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, step, tsc } from './steps.ts'

rmSync(join(root, 'dist'), { recursive: true, force: true })
rmSync(join(root, 'node_modules', '.cache', 'gradmesh'), { recursive: true, force: true })
step(tsc, ['-p', 'tsconfig.build.json'])
// Plain JavaScript, which the compiler passes over and the built files import.
for (const file of ['cli/relaunch.mjs', 'native/artifact.mjs']) copyFileSync(join(root, file), join(root, 'dist', file))
