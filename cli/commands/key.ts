import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Context } from '../context.ts'
import { subcommand } from '../options.ts'

export function keyCommand(context: Context): Command {
  const create = subcommand('new', 'write a new shared key: every node that joins with it belongs to the same mesh, with no invite')
    .argument('[file]', 'where to; it must not exist', 'mesh.key')
    .action(async file => {
      const path = resolve(context.cwd, file)
      const { writeKeyFile } = await import('../../mesh/admission/index.ts')
      writeKeyFile(path)
      context.output.record({ type: 'key', path })
      context.output.line(`wrote ${path}; copy it to each machine over a safe way and start nodes with: mesh join --key ${file}`)
    })
  return new Command('key').description('make shared keys').addCommand(create)
}
