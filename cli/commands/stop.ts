import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { nodeCommand } from '../options.ts'

export function stopCommand(context: Context): Command {
  return nodeCommand('stop', 'make a checkpoint of a job, then stop it on every node')
    .argument('<job>', 'its id, as mesh jobs lists it')
    .action(async (job, { node }) => {
      const { client } = await context.node(node)
      await client.stop(job)
      context.output.record({ type: 'stopped', job })
      context.output.line(`job ${job} has stopped; its checkpoints: mesh fetch ${job} --out DIR`)
    })
}
