import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { nodeCommand } from '../options.ts'

export function leaveCommand(context: Context): Command {
  return nodeCommand('leave', 'make a node leave its mesh for good: its trainers stop, its membership is forgotten').action(
    async ({ node }) => {
      const { client, name } = await context.node(node)
      await client.leave()
      context.output.record({ type: 'left', node: name })
      context.output.line(`node ${name} has left its mesh`)
    }
  )
}
