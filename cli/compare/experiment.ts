import { parse } from 'yaml'
import { type OptimizerSpec, parseOptimizer } from '../../actors/training/service-types.ts'
import { parseDelay, parseNetwork, strategyNamed } from '../../actors/training/simulation/index.ts'
import { InvalidParametersError, MAX_TRAINERS } from '../../common/index.ts'
import { nearest } from './nearest.ts'
import type { Contestant, Experiment, Target } from './types.ts'

/** What an experiment file may say, each key with what it means; docs/compare.md shows one. */
export const experimentKeys: Readonly<Record<string, string>> = {
  name: 'folder and file name',
  title: 'headline of the report',
  question: 'what is asked, a sentence for the report',
  mode: 'simulated or real',
  model: 'as mesh train --model',
  data: 'as mesh train --data',
  trainers: 'trainers of each run',
  batch: 'samples a step of each trainer',
  samples: 'samples of each run, over all epochs',
  strategies: 'names, or { strategy, label, options, trainers, batch, lr, optimizer }',
  delays: 'delay models, such as constant and straggler:5',
  seeds: 'how many seeds, or a list of them',
  lr: 'learning rate',
  optimizer: '{ name, … }',
  grid: 'rates that --tune tries with each strategy',
  tuneSeeds: 'seeds of tuning runs',
  network: 'ideal, ib, 10gbe, lan, wan, or 0.15ms/10gbps',
  computeMs: 'virtual ms of a step at the nominal speed',
  arithmetic: 'GB/s that a trainer adds up',
  churn: '{ mtbf, repair } in virtual ms',
  target: '{ loss } or { accuracy }',
  evaluations: 'evaluations of a run',
  testSamples: 'test samples of an evaluation'
}

const contestantKeys = ['strategy', 'label', 'options', 'trainers', 'batch', 'lr', 'optimizer']

/** What holds where neither a file nor a flag says otherwise. */
export const experimentDefaults = {
  name: 'comparison',
  title: '',
  question: '',
  mode: 'simulated',
  model: 'mlp?hidden=64',
  data: 'digits?train=4000&test=1000',
  trainers: 8,
  batch: 16,
  samples: 12_000,
  delays: ['constant'],
  seeds: 5,
  lr: 0.02,
  optimizer: { name: 'sgd', momentum: 0.9 },
  grid: [0.005, 0.01, 0.02, 0.05, 0.1],
  tuneSeeds: [1001],
  network: '10gbe',
  computeMs: 10,
  target: { accuracy: 0.8 },
  evaluations: 30
} as const

/** The YAML text of an experiment as what it says, keys checked. @param name - what messages call it @throws InvalidParametersError */
export function parseExperimentFile(text: string, name: string): Record<string, unknown> {
  let content: unknown
  try {
    content = parse(text, { maxAliasCount: 50 })
  } catch (error) {
    throw new InvalidParametersError(`${name} is no YAML: ${(error as Error).message.split('\n')[0]}`)
  }
  if (!isRecord(content)) throw new InvalidParametersError(`${name} must hold keys such as strategies, seeds and delays`)
  onlyKnown(content, Object.keys(experimentKeys), name)
  return content
}

/**
 * An experiment with every setting spelled out.
 *
 * @param settings - of a file or preset, with flags over them
 * @param name - what messages call it
 * @throws InvalidParametersError naming the setting that is wrong
 */
export function experimentOf(settings: Record<string, unknown>, name: string): Experiment {
  onlyKnown(settings, Object.keys(experimentKeys), name)
  const s: Record<string, unknown> = { ...experimentDefaults, ...settings }
  const wrong = (key: string, must: string) =>
    new InvalidParametersError(`${name}: '${key}' must be ${must}, not ${JSON.stringify(s[key])?.slice(0, 100)}`)
  const text = (key: string, max = 500): string => {
    if (typeof s[key] !== 'string' || (s[key] as string).length > max) throw wrong(key, `a text of at most ${max} letters`)
    return s[key] as string
  }
  const whole = (key: string, min: number, max: number): number => {
    if (!Number.isInteger(s[key]) || (s[key] as number) < min || (s[key] as number) > max)
      throw wrong(key, `a whole number from ${min} to ${max}`)
    return s[key] as number
  }
  const positive = (key: string): number => {
    if (typeof s[key] !== 'number' || !((s[key] as number) > 0 && (s[key] as number) < Number.POSITIVE_INFINITY))
      throw wrong(key, 'a number above 0')
    return s[key] as number
  }
  const numbers = (key: string, what: string, check: (x: number) => boolean): number[] => {
    const list = s[key]
    if (!Array.isArray(list) || list.length > 1000 || !list.every(x => typeof x === 'number' && check(x)))
      throw wrong(key, `a list of ${what}`)
    return [...new Set(list as number[])]
  }
  const mode = s['mode']
  if (mode !== 'simulated' && mode !== 'real') throw wrong('mode', 'simulated or real')
  const seeds =
    typeof s['seeds'] === 'number'
      ? Array.from({ length: whole('seeds', 1, 1000) }, (_, i) => i + 1)
      : numbers('seeds', 'whole numbers from 0', x => Number.isSafeInteger(x) && x >= 0)
  if (seeds.length === 0) throw wrong('seeds', 'at least one')
  const delays = s['delays']
  if (!Array.isArray(delays) || delays.length === 0 || delays.length > 20) throw wrong('delays', 'a list of 1 to 20 delay models')
  for (const delay of delays) parseDelay(String(delay))
  if (mode === 'real') {
    for (const delay of delays) {
      if (!/^(constant$|straggler\b)/.test(String(delay))) {
        throw new InvalidParametersError(
          `${name}: real runs take the delays constant and straggler:FACTOR, not '${delay}'; simulate the others`
        )
      }
    }
  }
  parseNetwork(text('network'))
  const experiment: Experiment = {
    name: text('name', 60),
    title: text('title') || text('name'),
    question: text('question', 2000),
    mode,
    model: text('model'),
    data: text('data'),
    trainers: whole('trainers', 1, MAX_TRAINERS),
    batch: whole('batch', 1, 1_000_000),
    samples: whole('samples', 1, 1_000_000_000),
    strategies: contestants(s['strategies'], name),
    delays: delays.map(String),
    seeds,
    lr: positive('lr'),
    optimizer: optimizer(s['optimizer'], name),
    grid: numbers('grid', 'rates above 0', x => x > 0 && Number.isFinite(x)).sort((a, b) => a - b),
    tuneSeeds: numbers('tuneSeeds', 'whole numbers from 0', x => Number.isSafeInteger(x) && x >= 0),
    network: text('network'),
    computeMs: positive('computeMs'),
    target: target(s['target'], name),
    evaluations: whole('evaluations', 2, 1000)
  }
  if (!/^[\w.-]+$/.test(experiment.name)) throw wrong('name', 'letters, digits, . _ and -')
  const shared = experiment.tuneSeeds.find(seed => seeds.includes(seed))
  if (shared !== undefined) {
    throw new InvalidParametersError(
      `${name}: seed ${shared} is in seeds and in tuneSeeds; a rate tuned on a reported seed would favour it`
    )
  }
  if (s['arithmetic'] !== undefined) experiment.arithmetic = positive('arithmetic')
  if (s['testSamples'] !== undefined) experiment.testSamples = whole('testSamples', 1, 100_000_000)
  if (s['churn'] !== undefined) experiment.churn = churn(s['churn'], name)
  return experiment
}

/** Refuses a key that is not known, and names the nearest that is. */
function onlyKnown(content: Record<string, unknown>, known: readonly string[], where: string): void {
  for (const key of Object.keys(content)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean '${near}'?`
    throw new InvalidParametersError(`${where}: there is no key '${key.slice(0, 60)}'; ${hint}`)
  }
}

function contestants(value: unknown, name: string): Contestant[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > 40) {
    throw new InvalidParametersError(`${name}: 'strategies' must be a list of 1 to 40 strategies, such as [allreduce, gossip]`)
  }
  const list = value.map(entry => {
    const record: Record<string, unknown> = typeof entry === 'string' ? { strategy: entry } : isRecord(entry) ? entry : {}
    onlyKnown(record, contestantKeys, `${name}, strategies`)
    const { strategy, label, options = {}, trainers, batch, lr } = record
    if (typeof strategy !== 'string') throw new InvalidParametersError(`${name}: each of 'strategies' is a name or { strategy: NAME, … }`)
    if (!isRecord(options) || !Object.values(options).every(v => ['string', 'number', 'boolean'].includes(typeof v))) {
      throw new InvalidParametersError(`${name}: options of strategy '${strategy}' are texts, numbers, true and false by name`)
    }
    strategyNamed(strategy).create(options)
    if (trainers !== undefined && !(Number.isInteger(trainers) && (trainers as number) >= 1 && (trainers as number) <= MAX_TRAINERS)) {
      throw new InvalidParametersError(`${name}: 'trainers' of strategy '${strategy}' must be a whole number from 1 to ${MAX_TRAINERS}`)
    }
    if (batch !== undefined && !(Number.isInteger(batch) && (batch as number) >= 1 && (batch as number) <= 1_000_000)) {
      throw new InvalidParametersError(`${name}: 'batch' of strategy '${strategy}' must be a whole number from 1 to 1000000`)
    }
    if (lr !== undefined && !(typeof lr === 'number' && lr > 0)) {
      throw new InvalidParametersError(`${name}: 'lr' of strategy '${strategy}' must be a number above 0`)
    }
    const contestant: Contestant = {
      label: typeof label === 'string' ? label.slice(0, 60) : labelOf(strategy, options as Contestant['options']),
      strategy,
      options: options as Contestant['options'],
      ...(trainers === undefined ? {} : { trainers: trainers as number }),
      ...(batch === undefined ? {} : { batch: batch as number }),
      ...(lr === undefined ? {} : { lr: lr as number }),
      ...(record['optimizer'] === undefined ? {} : { optimizer: optimizer(record['optimizer'], name) })
    }
    return contestant
  })
  const double = list.find((c, i) => list.findIndex(other => other.label === c.label) !== i)
  if (double !== undefined) throw new InvalidParametersError(`${name}: two strategies are called '${double.label}'; give each a label`)
  return list
}

function labelOf(strategy: string, options: Contestant['options']): string {
  const text = Object.entries(options).map(([key, value]) => `${key}=${value}`)
  return text.length === 0 ? strategy : `${strategy} ${text.join(' ')}`.slice(0, 60)
}

function optimizer(value: unknown, name: string): OptimizerSpec {
  try {
    return parseOptimizer(value)
  } catch (error) {
    throw new InvalidParametersError(`${name}: ${(error as Error).message}`)
  }
}

function target(value: unknown, name: string): Target {
  const record = isRecord(value) ? value : {}
  const [key, ...more] = Object.keys(record)
  const figure = record[key ?? '']
  const fine = more.length === 0 && typeof figure === 'number' && figure > 0
  if (fine && key === 'loss') return { loss: figure }
  if (fine && key === 'accuracy' && figure <= 1) return { accuracy: figure }
  throw new InvalidParametersError(
    `${name}: 'target' must be { loss: 0.5 } or { accuracy: 0.9 }, not ${JSON.stringify(value)?.slice(0, 100)}`
  )
}

function churn(value: unknown, name: string): { mtbf: number; repair: number } {
  if (isRecord(value)) onlyKnown(value, ['mtbf', 'repair'], `${name}, churn`)
  const { mtbf, repair } = (isRecord(value) ? value : {}) as { mtbf?: unknown; repair?: unknown }
  if (typeof mtbf === 'number' && mtbf > 0 && typeof repair === 'number' && repair >= 0) return { mtbf, repair }
  throw new InvalidParametersError(`${name}: 'churn' must be { mtbf: MS, repair: MS }`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
