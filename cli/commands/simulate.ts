import { writeFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import type { Command } from 'commander'
import { InvalidParametersError, MAX_TRAINERS } from '../../common/index.ts'
import type { Context } from '../context.ts'
import { interruptible } from '../interrupt.ts'
import { flag, subcommand, text } from '../options.ts'
import { integer, number, option } from '../parse.ts'
import type { PlannedModel } from '../simulate/models.ts'
import type { PlannedStrategy, PlanRow } from '../simulate/plan.ts'
import { bytes, count, figure, percent, table } from '../terminal/format.ts'

interface SimulateFlags {
  model?: string
  parameters?: number
  batch?: number
  stepMs?: number
  trainers: number[]
  network: string[]
  strategy: string[]
  delay: string
  arithmetic: number
  seed: number
  plot?: string
}

export function simulateCommand(context: Context): Command {
  return subcommand('simulate', 'how fast strategies would train on a cluster: throughput, efficiency and bytes in virtual time')
    .addOption(flag('--model <name>', 'resnet50, vgg16, gpt2, lenet and others (docs/simulate.md)', text))
    .addOption(flag('--parameters <n>', "instead of the model's", integer(1, 2 ** 31)))
    .addOption(flag('--batch <n>', 'samples a step of each trainer', integer(1, 1_000_000)))
    .addOption(flag('--step-ms <ms>', 'time of a step of one trainer, without exchange', number({ above: 0, to: 1e9 })))
    .addOption(flag('--trainers <list>', 'numbers and ranges that double, such as 8..4096 or 1,2,12', trainersList, [8, 16, 32, 64]))
    .addOption(flag('--network <list>', 'ideal, ib, 10gbe, lan, wan, or 0.15ms/10gbps; several with commas', names, ['10gbe']))
    .addOption(
      flag('--strategy <list>', 'strategies, several with commas; options after a colon: diloco:h=500', names, ['allreduce', 'gossip'])
    )
    .addOption(
      flag('--delay <model>', 'how long trainers compute: constant, straggler:5, lognormal:0.5 … (default: constant)', text, 'constant')
    )
    .addOption(flag('--arithmetic <gb/s>', 'what a trainer adds up in a second', number({ above: 0 }), 8))
    .addOption(flag('--seed <n>', 'of every random choice', integer(0), 1))
    .addOption(flag('--plot <file>', 'write the figure, as .svg or .png', text))
    .action(flags => simulateAction(context, flags))
}

async function simulateAction(context: Context, flags: SimulateFlags): Promise<void> {
  const { output } = context
  const { parseDelay, parseNetwork, readDelayTrace, strategyNamed } = await import('../../actors/training/simulation/index.ts')
  const { plan, planAssumptions } = await import('../simulate/plan.ts')
  const model = await modelOf(flags)
  const plot = flags.plot === undefined ? undefined : resolve(context.cwd, flags.plot)
  if (plot !== undefined && !['.svg', '.png'].includes(extname(plot))) {
    throw new InvalidParametersError(`--plot takes a file that ends in .svg or .png, not '${flags.plot}'`)
  }
  const strategies = flags.strategy.map(plannedStrategy)
  for (const { name, options } of strategies) strategyNamed(name).create(options)
  const networks = flags.network.map(parseNetwork)
  const delay = parseDelay(flags.delay)
  await interruptible(
    context,
    abort => abort(),
    async signal => {
      const delayTrace = delay.model === 'trace' ? await readDelayTrace(resolve(context.cwd, delay.file), { signal }) : undefined
      const { arithmetic, seed, trainers } = flags
      const init = {
        model,
        strategies,
        networks,
        trainers,
        delay,
        arithmetic,
        seed,
        signal,
        ...(delayTrace === undefined ? {} : { delayTrace })
      }
      let done = 0
      const total = strategies.length * networks.length * trainers.length
      const rows = await plan({
        ...init,
        onRow: row => {
          output.record({ type: 'row', ...row })
          output.setLive(`${++done} of ${total} done: ${row.strategy}, ${row.network}, ${row.trainers} trainers`)
        }
      })
      output.endLive()
      const assumptions = planAssumptions(init, flags.delay)
      output.record({ type: 'assumptions', assumptions })
      for (const line of table(head, rows.map(cells))) output.line(line)
      output.line()
      output.line('Assumptions')
      for (const line of assumptions) output.line(`- ${line}`)
      if (plot === undefined) return
      const { renderPng, renderSvg } = await import('../compare/render.ts')
      const { planFigure } = await import('../simulate/plot.ts')
      const svg = await renderSvg(planFigure(`${model.name}, simulated (${flags.delay})`, rows))
      writeFileSync(plot, extname(plot) === '.svg' ? svg : await renderPng(svg))
      output.record({ type: 'plot', path: plot })
      output.line(`figure ${plot}`)
    }
  )
}

const head = ['strategy', 'network', 'trainers', 'samples/s', 'efficiency', '', 'step', 'sent a step', 'by']

function cells(row: PlanRow): string[] {
  return [
    row.strategy,
    row.network,
    count(row.trainers),
    row.samplesPerSecond >= 1000 ? count(row.samplesPerSecond) : figure(row.samplesPerSecond),
    percent(row.efficiency, 1),
    bar(row.efficiency),
    `${figure(row.stepMs)} ms`,
    bytes(row.bytesPerStep),
    row.method
  ]
}

/** A share as a bar of 20 columns. */
function bar(share: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * 160)
  return '█'.repeat(eighths >> 3) + (['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths & 7] ?? '')
}

async function modelOf({ model, parameters, batch, stepMs }: SimulateFlags): Promise<PlannedModel> {
  const { plannedModel } = await import('../simulate/models.ts')
  if (model === undefined && (parameters === undefined || batch === undefined || stepMs === undefined)) {
    throw new InvalidParametersError('--model is missing, for example --model resnet50; or give --parameters, --batch and --step-ms')
  }
  const known = model === undefined ? undefined : plannedModel(model)
  return {
    name: known?.name ?? 'the model',
    parameters: parameters ?? known!.parameters,
    batch: batch ?? known!.batch,
    stepMs: stepMs ?? known!.stepMs,
    source:
      stepMs !== undefined
        ? 'given'
        : batch !== undefined && batch !== known!.batch
          ? `${known!.source}; for its batch of ${known!.batch}`
          : known!.source
  }
}

/** `diloco:h=500+outer-lr=0.7`. */
function plannedStrategy(label: string): PlannedStrategy {
  const [name = '', rest] = label.split(':', 2)
  let options: PlannedStrategy['options'] = {}
  for (const one of rest?.split('+') ?? []) options = option('--strategy', one, options)
  return { name, options, label }
}

function names(name: string, value: string): string[] {
  const list = value.split(',').map(part => part.trim())
  if (list.length > 0 && list.every(part => part !== '')) return [...new Set(list)]
  throw new InvalidParametersError(`${name} takes names with commas between, not '${value.slice(0, 100)}'`)
}

/** `8..4096` doubles from 8 on, its end included; `1,2,12` is as it stands. */
function trainersList(name: string, value: string): number[] {
  const list = new Set<number>()
  for (const part of value.split(',')) {
    const [, from, to] = /^(\d{1,6})(?:\.\.(\d{1,6}))?$/.exec(part.trim()) ?? []
    const [first, last] = [Number(from), Number(to ?? from)]
    if (!(first >= 1 && last >= first && last <= MAX_TRAINERS)) {
      throw new InvalidParametersError(
        `${name} takes numbers and ranges from 1 to ${MAX_TRAINERS}, such as 8..4096 or 1,2,12, not '${value.slice(0, 100)}'`
      )
    }
    for (let n = first; n < last; n *= 2) list.add(n)
    list.add(last)
  }
  return [...list].sort((a, b) => a - b)
}
