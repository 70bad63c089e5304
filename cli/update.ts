import type { Option } from 'commander'
import {
  type OptimizerSpec,
  optimizerNames,
  parseOptimizer,
  parseSchedule,
  type Schedule,
  schedulePolicies,
  scheduleSettings,
  settingsOf,
  usual
} from '../actors/training/service-types.ts'
import { InvalidParametersError } from '../common/index.ts'
import { flag } from './options.ts'
import { integer, number, oneOf, type Parser } from './parse.ts'

/** The flags of `mesh train` that say how parameters follow gradients. */
export interface UpdateFlags {
  optimizer?: OptimizerSpec['name']
  momentum?: number
  nesterov?: boolean
  optimizerForm?: 'caffe' | 'pytorch'
  beta1?: number
  beta2?: number
  rho?: number
  epsilon?: number
  trust?: number
  weightDecay?: number
  l1?: number
  clipNorm?: number
  schedule?: Schedule['policy']
  gamma?: number
  stepSize?: number
  stepValues?: number[]
  power?: number
  maxSteps?: number
  minRate?: number
  warmUp?: number
  warmUpFrom?: number
}

/** Flags of settings, where their names differ. */
const optimizerFlags: [keyof UpdateFlags, string][] = [
  ...(['momentum', 'nesterov', 'beta1', 'beta2', 'rho', 'epsilon', 'trust', 'weightDecay', 'l1', 'clipNorm'] as const).map(
    (name): [keyof UpdateFlags, string] => [name, name]
  ),
  ['optimizerForm', 'form']
]
const scheduleFlags: [keyof UpdateFlags, string][] = [
  ...(['gamma', 'stepSize', 'stepValues', 'power', 'maxSteps'] as const).map((name): [keyof UpdateFlags, string] => [name, name]),
  ['minRate', 'min']
]

const scheduleDefaults: Partial<Record<Schedule['policy'], object>> = {
  step: { gamma: 0.1 },
  multistep: { gamma: 0.1 },
  poly: { power: 1 }
}

export function updateOptions(): Option[] {
  const share = number({ from: 0, below: 1 })
  const positive = number({ above: 0, to: 1e6 })
  return [
    flag('--optimizer <name>', `${optimizerNames.join(', ')} (default: sgd)`, oneOf(...optimizerNames)),
    flag('--momentum <m>', 'of sgd, lars (default: 0.9) and rmsprop (default: 0)', share),
    flag('--nesterov', 'of sgd and lars: look ahead along the momentum', () => true),
    flag('--optimizer-form <form>', "of sgd, adam, adamw: caffe's formula or pytorch's (default: pytorch)", oneOf('caffe', 'pytorch')),
    flag('--beta1 <b>', 'of adam, adamw, lamb: share of the old mean (default: 0.9)', share),
    flag('--beta2 <b>', 'of adam, adamw, lamb: share of the old square (default: 0.999)', share),
    flag('--rho <r>', 'share of the old square: of rmsprop (default: 0.99), adadelta (default: 0.9)', share),
    flag('--epsilon <e>', 'what keeps a quotient finite (default: the optimizer’s own)', share),
    flag('--trust <c>', 'of lars: a layer’s rate over its norms’ quotient (default: 0.001)', positive),
    flag('--weight-decay <d>', 'L2 (default: 0; adamw: 0.01)', number({ from: 0, to: 1e6 })),
    flag('--l1 <d>', 'L1 (default: 0)', number({ from: 0, to: 1e6 })),
    flag('--clip-norm <n>', 'largest norm of the whole gradient (default: none)', positive),
    flag('--schedule <policy>', `of the rate: ${schedulePolicies.join(', ')} (default: fixed)`, oneOf(...schedulePolicies)),
    flag('--gamma <factor>', 'of step, multistep (default: 0.1), exp, inv, sigmoid', number({ above: -1e6, to: 1e6 })),
    flag('--step-size <n>', 'of step: after how many steps the rate falls; of sigmoid: the middle', integer(1)),
    flag('--step-values <n,…>', 'of multistep: the steps at which the rate falls', steps),
    flag('--power <p>', 'of poly (default: 1) and inv', number({ from: 0, to: 1e6 })),
    flag('--max-steps <n>', 'of poly and cosine: when the rate has reached its end', integer(1)),
    flag('--min-rate <fraction>', 'of cosine: its end, as a fraction of the rate (default: 0)', number({ from: 0, to: 1 })),
    flag('--warm-up <steps>', 'steps in which the rate rises to its value, under any policy', integer(1)),
    flag('--warm-up-from <fraction>', 'where it rises from (default: 0)', number({ from: 0, to: 1 }))
  ]
}

const steps: Parser<number[]> = (name, text) => text.split(',').map(part => integer(0)(name, part))

/** @throws InvalidParametersError naming a flag that does not belong to the optimizer */
export function optimizerOf(flags: UpdateFlags, earlier: OptimizerSpec | undefined): OptimizerSpec {
  const name = flags.optimizer ?? earlier?.name ?? 'sgd'
  const base = earlier?.name === name ? earlier : usual(name)
  return parseOptimizer({ ...base, ...chosen(flags, optimizerFlags, settingsOf(name), `--optimizer ${name}`) })
}

/** @throws InvalidParametersError naming a flag that is missing or does not belong to the policy */
export function scheduleOf(flags: UpdateFlags, earlier: Schedule | undefined): Schedule {
  const policy = flags.schedule ?? earlier?.policy ?? 'fixed'
  const { warmUp: before, ...base } = {
    warmUp: earlier?.warmUp,
    ...(earlier?.policy === policy ? earlier : { policy, ...scheduleDefaults[policy] })
  }
  const { all, needed } = scheduleSettings(policy)
  const spec: Record<string, unknown> = { ...base, ...chosen(flags, scheduleFlags, all, `--schedule ${policy}`) }
  const missing = needed.filter(setting => spec[setting] === undefined).map(setting => dashed(flagOf(scheduleFlags, setting)))
  if (missing.length > 0) throw new InvalidParametersError(`--schedule ${policy} needs ${missing.join(' and ')}`)
  if (flags.warmUpFrom !== undefined && (flags.warmUp ?? before) === undefined) {
    throw new InvalidParametersError('--warm-up-from belongs to --warm-up')
  }
  if (flags.warmUp !== undefined || before !== undefined) {
    spec['warmUp'] = {
      ...before,
      ...(flags.warmUp === undefined ? {} : { steps: flags.warmUp }),
      ...(flags.warmUpFrom === undefined ? {} : { from: flags.warmUpFrom })
    }
  }
  return parseSchedule(spec)
}

function chosen(flags: UpdateFlags, table: [keyof UpdateFlags, string][], settings: string[], owner: string): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, setting] of table) {
    if (flags[name] === undefined) continue
    if (!settings.includes(setting)) {
      const takes = settings.map(s => dashed(flagOf(table, s))).join(', ')
      throw new InvalidParametersError(`${dashed(name)} does not belong to ${owner}, which takes ${takes === '' ? 'nothing' : takes}`)
    }
    result[setting] = flags[name]
  }
  return result
}

function flagOf(table: [keyof UpdateFlags, string][], setting: string): string {
  return table.find(([, name]) => name === setting)![0]
}

function dashed(name: string): string {
  return `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}
