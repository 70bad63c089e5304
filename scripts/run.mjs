// `node scripts/run.mjs FILE ...args`: installs what is missing, then runs FILE under the project's own Node. Every npm script goes
// through here, so that each works on a fresh clone and with an old Node.
import { delimiter, join, resolve } from 'node:path'
import { relaunch } from '../cli/relaunch.mjs'
import { root, setup } from './setup.mjs'

const [file, ...args] = process.argv.slice(2)
const node = setup()
relaunch(node, [resolve(root, file), ...args], {
  // Tests start hundreds of processes: compiled once, their code is read back.
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'compiled'),
  // What FILE starts by the name `node` is this one, too; npm put the folder there only if it existed when npm started.
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter)
})
