import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { otherNode } from '../control/discover.ts'
import { showJob } from '../follow.ts'
import { interruptible } from '../interrupt.ts'
import { nodeCommand } from '../options.ts'

export function logsCommand(context: Context): Command {
  return nodeCommand('logs', "follow a job's progress, from whichever node; Ctrl-C stops the following only")
    .argument('<job>', 'its id, as mesh jobs lists it')
    .option('--no-follow', 'print what has been reported so far and end')
    .action(async (job, { node, follow }) => {
      const { client } = await context.node(node)
      await interruptible(
        context,
        abort => abort(),
        async signal => {
          await showJob({ through: { service: client }, job, output: context.output, live: follow, next: () => otherNode(context), signal })
        }
      )
    })
}
