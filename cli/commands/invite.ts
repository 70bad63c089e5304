import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { flag, nodeCommand } from '../options.ts'
import { duration } from '../parse.ts'
import { time } from '../terminal/format.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

export function inviteCommand(context: Context): Command {
  return nodeCommand('invite', 'print an invite: whoever has it may join until it expires')
    .addOption(flag('--ttl <time>', 'how long it is good for: 30m, 24h, 7d', duration(MINUTE, 365 * DAY), DAY))
    .action(async ({ node, ttl }) => {
      const { client } = await context.node(node)
      const invite = await client.invite({ ttl })
      context.output.record({ type: 'invite', invite, ttl })
      // Alone on its line, so that a shell can take it: mesh join --invite "$(mesh invite)".
      context.output.line(invite)
      if (context.stdout.isTTY) context.output.line(`good for ${time(ttl)}; use it on another machine: mesh join --invite …`)
    })
}
