import type { Command } from 'commander'
import type { Context } from '../context.ts'
import type { Finding } from '../doctor/index.ts'
import { subcommand } from '../options.ts'
import { plain } from '../terminal/format.ts'

const marks = { ok: ['green', '✓'], lacks: ['yellow', '–'], broken: ['red', '✗'] } as const

export function doctorCommand(context: Context): Command {
  return subcommand(
    'doctor',
    'say what this machine has and lacks, and the command that mends each; exits 1 when it cannot train at all'
  ).action(async () => {
    const { checks, thisMachine } = await import('../doctor/index.ts')
    const machine = await thisMachine(context.stateBase)
    for (const check of checks) for (const finding of await check(machine)) tell(context, finding)
  })
}

function tell(context: Context, finding: Finding): void {
  const { output } = context
  const [colour, mark] = marks[finding.standing]
  output.record({ type: 'check', ...finding })
  output.line(`${output.style(colour, mark)} ${finding.check}: ${plain(finding.message)}`)
  if (finding.mend !== undefined) output.line(`    ${output.style('bold', finding.mend)}`)
  if (finding.standing === 'broken') context.exitCode = 1
}
