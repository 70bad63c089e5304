import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { nodeCommand } from '../options.ts'
import { RunFolder } from '../run-folder.ts'
import { bytes } from '../terminal/format.ts'

export function fetchCommand(context: Context): Command {
  return nodeCommand('fetch', "bring a job's configuration, metrics, checkpoints and model into a folder")
    .argument('<job>', 'its id, as mesh jobs lists it')
    .requiredOption('--out <dir>', 'folder to fill; it must not hold another run')
    .action(async (job, { node, out }) => {
      const { client } = await context.node(node)
      const status = await client.job(job)
      const folder = RunFolder.create(resolve(context.cwd, out), { job })
      try {
        folder.writeConfig({ job, spec: status.spec, fetched: context.date().toISOString() })
        for await (const event of client.follow(job, { live: false })) folder.append(event)
        const files = await folder.sync(client, job)
        for (const file of files) {
          context.output.record({ type: 'file', ...file })
          context.output.line(`${file.name}  ${bytes(file.bytes)}`)
        }
        context.output.line(`job ${job} (${status.state}) is in ${folder.path}`)
      } finally {
        folder.close()
      }
    })
}
