import { Command, CommanderError } from 'commander'
import { version } from '../actors/training/node/version.ts'
import { AbortedError, GradmeshError, InvalidParametersError } from '../common/index.ts'
import { stateBase } from '../mesh/state/index.ts'
import { compareCommand } from './commands/compare.ts'
import { doctorCommand } from './commands/doctor.ts'
import { fetchCommand } from './commands/fetch.ts'
import { inviteCommand } from './commands/invite.ts'
import { jobsCommand } from './commands/jobs.ts'
import { joinCommand } from './commands/join.ts'
import { keyCommand } from './commands/key.ts'
import { leaveCommand } from './commands/leave.ts'
import { logsCommand } from './commands/logs.ts'
import { modelCommand } from './commands/model.ts'
import { simulateCommand } from './commands/simulate.ts'
import { statusCommand } from './commands/status.ts'
import { stopCommand } from './commands/stop.ts'
import { trainCommand } from './commands/train.ts'
import type { Context, World } from './context.ts'
import { requireNode } from './control/discover.ts'
import { Output } from './terminal/output.ts'

/** What the command exits with after Ctrl-C. */
export const INTERRUPTED = 130

const commands = [
  joinCommand,
  trainCommand,
  statusCommand,
  jobsCommand,
  logsCommand,
  stopCommand,
  fetchCommand,
  inviteCommand,
  keyCommand,
  leaveCommand,
  compareCommand,
  modelCommand,
  simulateCommand,
  doctorCommand
]

/**
 * Runs `mesh ...args`.
 *
 * @returns the exit code: 0, 1 for a failure, 2 for a user's mistake, 130 after an interruption
 */
export async function run(args: string[], world: World): Promise<number> {
  const { stdout, stderr, env, now } = world
  const output = new Output({ stdout, stderr, env, now, json: args.includes('--json') })
  const base = stateBase(env)
  const context: Context = {
    ...world,
    output,
    exitCode: 0,
    stateBase: base,
    node: name => requireNode({ base, node: name })
  }
  try {
    await program(context).parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return usageError(error, output)
    output.endLive()
    // The user knows: it was their wish.
    if (error instanceof AbortedError) return INTERRUPTED
    output.error(error)
    return error instanceof GradmeshError ? error.exitCode : 1
  }
  output.endLive()
  return context.exitCode
}

/** The command tree. */
export function program(context: Context): Command {
  const root = new Command('mesh')
    .description('Trains neural networks on a mesh of peers that has no driver.')
    .version(version, '-V, --version')
    .helpOption('-h, --help')
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted. NO_COLOR and CI are honoured.')
  for (const command of commands) root.addCommand(command(context))
  for (const command of every(root)) {
    command
      .exitOverride()
      .showSuggestionAfterError()
      .configureOutput({
        writeOut: text => context.stdout.write(text),
        // Commander's own message comes back as an error and is printed like every other.
        writeErr: text => (command.args.length === 0 && text.startsWith('Usage:') ? context.stderr.write(text) : undefined),
        getOutHelpWidth: () => context.stdout.columns ?? 100,
        getErrHelpWidth: () => context.stderr.columns ?? 100,
        getOutHasColors: () => false,
        getErrHasColors: () => false
      })
  }
  return root
}

function usageError(error: CommanderError, output: Output): number {
  if (error.exitCode === 0) return 0
  // Without a subcommand the help has been printed and says it all.
  if (error.code !== 'commander.help') {
    const message = error.message.replace(/^error: /, '').replace(/\n+/g, ' ')
    output.error(new InvalidParametersError(`${message}; see mesh --help`))
  }
  return 2
}

function* every(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* every(child)
}
