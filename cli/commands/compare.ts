import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { version } from '../../actors/training/node/version.ts'
import { InvalidParametersError } from '../../common/index.ts'
import type { Progress } from '../compare/compare.ts'
import type { Experiment, RunSpec } from '../compare/types.ts'
import type { Context } from '../context.ts'
import { interruptible } from '../interrupt.ts'
import { flag, list, subcommand, text } from '../options.ts'
import { integer, number } from '../parse.ts'
import { time } from '../terminal/format.ts'
import { nodeLogger } from '../terminal/logger.ts'

interface CompareFlags {
  preset?: string
  strategy?: string[]
  delay?: string[]
  seeds?: number
  model?: string
  data?: string
  trainers?: number
  batch?: number
  samples?: number
  lr?: number
  network?: string
  computeMs?: number
  targetLoss?: number
  targetAccuracy?: number
  tune?: boolean
  real?: boolean
  besideReal?: boolean
  out?: string
  jobs?: number
  note?: string[]
}

export function compareCommand(context: Context): Command {
  return subcommand('compare', 'compare strategies over seeds and delay models, and write a report')
    .argument('[experiment]', 'YAML file that describes the comparison (docs/compare.md)')
    .addOption(flag('--preset <name>', 'a comparison that comes with the command: see --list', text))
    .option('--list', 'list the presets')
    .addOption(list('--strategy <name>', 'a strategy; may be repeated', text))
    .addOption(list('--delay <model>', 'a delay model, such as constant or straggler:5; may be repeated', text))
    .addOption(flag('--seeds <n>', 'seeds of each strategy and delay model (default: 5)', integer(1, 1000)))
    .addOption(flag('--model <name>', 'as mesh train takes it', text))
    .addOption(flag('--data <uri>', 'as mesh train takes it', text))
    .addOption(flag('--trainers <n>', 'trainers of each run', integer(1, 4096)))
    .addOption(flag('--batch <n>', 'samples a step of each trainer', integer(1, 1_000_000)))
    .addOption(flag('--samples <n>', 'samples of each run, over all epochs', integer(1, 1_000_000_000)))
    .addOption(flag('--lr <rate>', 'learning rate', number({ above: 0, to: 1e6 })))
    .addOption(flag('--network <name>', 'ideal, ib, 10gbe, lan, wan, or 0.15ms/10gbps', text))
    .addOption(flag('--compute-ms <ms>', 'virtual time of a step', number({ above: 0, to: 1e9 })))
    .addOption(flag('--target-loss <loss>', 'what the time is taken to', number({ above: 0 })))
    .addOption(flag('--target-accuracy <a>', 'what the time is taken to', number({ above: 0, to: 1 })))
    .option('--tune', "try the experiment's grid of rates with each strategy first")
    .option('--real', 'run on processes of this machine instead of simulating')
    .option('--beside-real', 'also run a small part on processes of this machine, and hold the simulation against it')
    .addOption(flag('--jobs <n>', 'simulated runs at a time (default: the cores)', integer(1, 256)))
    .addOption(list('--note <text>', 'a line for the report; may be repeated', text))
    .addOption(new Option('--out <dir>', 'folder of the report; begun again, it goes on there (default: runs/compare-NAME)'))
    .action((file, flags) => compareAction(context, file, flags))
}

async function compareAction(context: Context, file: string | undefined, flags: CompareFlags & { list?: boolean }): Promise<void> {
  const { output } = context
  const { presets } = await import('../compare/presets.ts')
  if (flags.list) {
    for (const [name, { about }] of Object.entries(presets)) {
      output.record({ type: 'preset', name, about })
      output.line(`${name.padEnd(14)}${about}`)
    }
    return
  }
  const experiment = await experimentFrom(context, file, flags)
  const out = resolve(context.cwd, flags.out ?? join('runs', `compare-${experiment.name}`))
  let onFirst = (abort: () => void) => abort()
  await interruptible(
    context,
    abort => onFirst(abort),
    async signal => {
      onFirst = abort => {
        output.endLive()
        output.line(`interrupted; the same command goes on from the runs that are done in ${out}`)
        abort()
      }
      const { compare } = await import('../compare/compare.ts')
      const { realRun } = await import('../compare/real-run.ts')
      const versions = { gradmesh: version, node: process.version }
      const start = async (trainers: number, startSignal: AbortSignal) =>
        context.startEmbedded({ trainers, logger: nodeLogger(output, 'warn'), signal: startSignal })
      const result = await compare({
        experiment,
        out,
        threads: flags.jobs ?? availableParallelism(),
        versions,
        real: (spec, runSignal) => realRun({ spec, versions, start, signal: runSignal }),
        ...(flags.besideReal ? { besideReal: true } : {}),
        commands: commandsOf(context, file, flags, out),
        notes: flags.note ?? [],
        now: context.now,
        onProgress: progress => output.setLive(progressText(progress)),
        onRun: ({ spec, result: done, error }) => {
          const { id: run, label, delay, seed, lr, purpose } = spec
          const record = { type: 'run', run, label, delay, seed, lr, purpose }
          output.record(error === undefined ? { ...record, time: done?.time, accuracy: done?.accuracy } : { ...record, error })
          if (error !== undefined) output.warn(`${nameOf(spec)} failed: ${error}`)
          else if (!output.live) output.line(`${nameOf(spec)}: ${done?.diverged ? 'diverged' : `loss ${done?.loss?.toPrecision(4)}`}`)
        },
        signal
      })
      output.endLive()
      output.record({ type: 'report', path: result.report, reading: result.reading, failed: result.failures.length })
      output.line(result.reading)
      output.line(`report ${result.report}`)
      if (result.failures.length > 0) context.exitCode = 1
    }
  )
}

/** What a file or preset says, with flags over it. @throws InvalidParametersError */
async function experimentFrom(context: Context, file: string | undefined, flags: CompareFlags): Promise<Experiment> {
  const { experimentOf, parseExperimentFile, experimentDefaults } = await import('../compare/experiment.ts')
  const { presets } = await import('../compare/presets.ts')
  if (file !== undefined && flags.preset !== undefined) throw new InvalidParametersError('give an experiment file or --preset, not both')
  let settings: Record<string, unknown> = {}
  let name = 'the command line'
  if (file !== undefined) {
    name = file
    settings = parseExperimentFile(read(resolve(context.cwd, file), file), file)
  } else if (flags.preset !== undefined) {
    const preset = Object.hasOwn(presets, flags.preset) ? presets[flags.preset] : undefined
    if (preset === undefined) {
      throw new InvalidParametersError(
        `there is no preset '${flags.preset.slice(0, 60)}'; choose one of ${Object.keys(presets).join(', ')}`
      )
    }
    name = `preset ${flags.preset}`
    settings = preset.settings
  } else if (flags.strategy === undefined) {
    throw new InvalidParametersError(
      'say what to compare: an experiment file, --preset NAME (--list names them), or --strategy twice or more'
    )
  }
  const given = {
    strategies: flags.strategy,
    delays: flags.delay,
    seeds: flags.seeds,
    model: flags.model,
    data: flags.data,
    trainers: flags.trainers,
    batch: flags.batch,
    samples: flags.samples,
    lr: flags.lr,
    network: flags.network,
    computeMs: flags.computeMs,
    mode: flags.real ? 'real' : undefined,
    target:
      flags.targetLoss === undefined
        ? flags.targetAccuracy === undefined
          ? undefined
          : { accuracy: flags.targetAccuracy }
        : { loss: flags.targetLoss }
  }
  const over = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const grid = flags.tune ? (settings['grid'] ?? experimentDefaults.grid) : []
  return experimentOf({ ...settings, ...over, grid }, name)
}

function read(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidParametersError(`the experiment ${name} cannot be read: ${(error as Error).message}`)
  }
}

function nameOf({ label, delay, seed, lr, purpose }: RunSpec): string {
  return `${purpose === 'tune' ? 'tuning ' : ''}${label}, ${delay}, seed ${seed}, rate ${lr}`
}

function progressText({ phase, done, failed, running, total, left }: Progress): string {
  if (phase === 'reporting') return 'drawing the report'
  const what = phase === 'tuning' ? 'tuning' : 'runs'
  const parts = [`${what}: ${done} of ${total} done`, `${running} running`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (left !== undefined) parts.push(`about ${time(left)} left`)
  return parts.join(', ')
}

/** The command that writes the same report, from the folder it was started in. */
function commandsOf(context: Context, file: string | undefined, flags: CompareFlags, out: string): string[] {
  const quote = (value: unknown) => (/^[\w@%+=:,./-]+$/.test(String(value)) ? String(value) : `'${String(value).replaceAll("'", "'\\''")}'`)
  const words = ['mesh', 'compare']
  if (file !== undefined) words.push(quote(file))
  for (const [key, value] of Object.entries(flags)) {
    if (key === 'out' || key === 'note' || key === 'json' || value === undefined) continue
    const name = `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
    for (const one of Array.isArray(value) ? value : [value]) words.push(...(one === true ? [name] : [name, quote(one)]))
  }
  return [`${words.join(' ')} --out ${quote(relative(context.cwd, out) || '.')}`]
}
