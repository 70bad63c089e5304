import {
  byteTime,
  createDelays,
  type DelaySpec,
  type DelayTrace,
  framingOf,
  modelledWorkload,
  type NetworkSpec,
  networkPresets,
  type SimulationInit,
  simulate,
  strategyNamed
} from '../../actors/training/simulation/index.ts'
import { createRng } from '../../common/index.ts'
import type { PlannedModel } from './models.ts'

/** A strategy with the options it is planned with. */
export interface PlannedStrategy {
  name: string
  options: Record<string, string | number | boolean>
  label: string
}

/** One line of a plan. */
export interface PlanRow {
  strategy: string
  network: string
  trainers: number
  /** Of all trainers together. */
  samplesPerSecond: number
  /** Throughput over that of as many trainers that exchange nothing and are never slow. */
  efficiency: number
  /** Time a step takes in the mean, ms. */
  stepMs: number
  /** Bytes a trainer sends in a step, in the mean, framing included. */
  bytesPerStep: number
  /** `events`: every message was simulated; `formula`: the cost model of a ring allreduce. */
  method: 'events' | 'formula'
}

/** How a strategy behaves, found by small runs of it. */
interface Nature {
  /** Floats allreduced a step, over the model's; 0 where it is no allreduce. */
  exchanges: number
  /** Steps from one exchange to the next. */
  period: number
}

/** Messages of one row that are simulated; a row of more is computed where a formula is known. */
const MAX_MESSAGES = 60_000
/** Floats of a transfer of a collective, at the most: what `allreduce` takes without the option `segment`. */
const SEGMENT = 65_536
/** Trainers of the run that a formula is held against. */
const CALIBRATION = 8
/** Steps of the computing times that a formula's mean is taken over. */
const DRAWS = 64

export interface PlanInit {
  model: PlannedModel
  strategies: readonly PlannedStrategy[]
  networks: readonly NetworkSpec[]
  trainers: readonly number[]
  delay: DelaySpec
  delayTrace?: DelayTrace
  /** GB/s that a trainer's main thread adds up. */
  arithmetic: number
  seed: number
  signal: AbortSignal
  onRow?(row: PlanRow): void
}

/** Throughput, efficiency and bytes for each strategy, network and number of trainers. @throws AbortedError */
export async function plan(init: PlanInit): Promise<PlanRow[]> {
  const rows: PlanRow[] = []
  for (const strategy of init.strategies) {
    const nature = await natureOf(strategy, init.signal)
    for (const network of init.networks) {
      // what the formula leaves out, found where both can be had: the strategy's own arithmetic, segments that overtake
      let residual: number | undefined
      for (const trainers of init.trainers) {
        let row: PlanRow
        if (2 * messagesOf(init.model, nature, trainers) > MAX_MESSAGES) {
          residual ??= await residualOf(init, strategy, nature, network)
          row = formulaRow(init, strategy, nature, network, trainers, residual)
        } else row = await eventRow(init, strategy, nature, network, trainers)
        rows.push(row)
        init.onRow?.(row)
      }
    }
  }
  return rows
}

/** Whether a strategy allreduces, how much and how often: from the bytes of runs with 2, 4 and 8 trainers. */
async function natureOf({ name, options }: PlannedStrategy, signal: AbortSignal): Promise<Nature> {
  const size = 1021
  const tail = 3
  const perStep = async (trainers: number, steps: number) => {
    const { payload, updates } = await simulate({
      strategy: strategyNamed(name),
      options,
      trainers,
      workload: modelledWorkload({ size, tail, samples: 1e9 }),
      batch: 1,
      budget: trainers * steps,
      computeMs: 10,
      seed: 1,
      network: networkPresets['lan']!,
      signal
    })
    const own = strategyNamed(name).synchronous ? updates : updates / trainers
    return payload / trainers / own
  }
  if (!strategyNamed(name).synchronous) return { exchanges: 0, period: 1 }
  // 4,000 steps hold whole rounds of all usual lengths
  const two = await perStep(2, 4000)
  const exchanges = two / ((size + tail) * 4)
  const period = exchanges > 0 && exchanges < 0.5 ? Math.round(1 / exchanges) : 1
  const [four, eight] = [await perStep(4, 4 * period), await perStep(8, 4 * period)]
  const allreduces = two > 0 && Math.abs(four / two - 1.5) < 0.02 && Math.abs(eight / two - 1.75) < 0.02
  return { exchanges: allreduces ? exchanges : 0, period }
}

/** Messages of one exchange of all trainers, where it is an allreduce; 0 where it is not. */
function messagesOf({ parameters }: PlannedModel, { exchanges }: Nature, trainers: number): number {
  return exchanges === 0 ? 0 : 2 * trainers * (trainers - 1) * Math.ceil(parameters / trainers / SEGMENT)
}

async function eventRow(
  init: PlanInit,
  strategy: PlannedStrategy,
  nature: Nature,
  network: NetworkSpec,
  trainers: number
): Promise<PlanRow> {
  const { model, delay, delayTrace, arithmetic, seed, signal } = init
  const most = Math.floor(MAX_MESSAGES / Math.max(1, messagesOf(model, nature, trainers)))
  const steps = nature.period > 1 ? 2 * nature.period : Math.max(2, Math.min(50, most, Math.ceil(20_000 / trainers)))
  const simulation: SimulationInit = {
    strategy: strategyNamed(strategy.name),
    options: strategy.options,
    trainers,
    workload: modelledWorkload({ size: model.parameters, samples: 1e12 }),
    batch: model.batch,
    budget: model.batch * trainers * steps,
    computeMs: model.stepMs,
    seed,
    delay,
    ...(delayTrace === undefined ? {} : { delayTrace }),
    network,
    arithmetic,
    signal
  }
  const { samples, time, wire } = await simulate(simulation)
  const steppedBy = samples / model.batch
  return rowOf(init, strategy, network, trainers, (samples / time) * 1000, wire / steppedBy, 'events')
}

/** ms by which an exchange among {@link CALIBRATION} trainers differs from the formula when every message of it is simulated. */
async function residualOf(init: PlanInit, strategy: PlannedStrategy, nature: Nature, network: NetworkSpec): Promise<number> {
  // equally fast trainers, so that nothing but the exchange differs
  const calm: PlanInit = { ...init, delay: { model: 'constant' } }
  const { stepMs } = await eventRow(calm, strategy, nature, network, CALIBRATION)
  const formula = formulaRow(calm, strategy, nature, network, CALIBRATION, 0)
  return (stepMs - formula.stepMs) * nature.period
}

/**
 * A ring allreduce of n bytes over p ranks takes 2(p−1)·a + 2(p−1)/p·n·b + (p−1)/p·n·c, a the latency in the mean, b and c the times
 * of a byte on the wire and in the addition; with the step's slowest computation before it, and a receipt after it.
 */
function formulaRow(
  init: PlanInit,
  strategy: PlannedStrategy,
  { exchanges, period }: Nature,
  network: NetworkSpec,
  trainers: number,
  residual: number
): PlanRow {
  const { model, arithmetic } = init
  const p = trainers
  const bytes = 4 * (model.parameters + 3) * exchanges * period
  const slice = bytes / p
  const wire = slice + (network.framing ? framingOf(slice) : 0)
  const a = (network.latency[0] + network.latency[1]) / 2
  const exchange = 2 * (p - 1) * (a + wire * byteTime(network.gbps)) + (p - 1) * slice * (1 / (arithmetic * 1e6)) + a
  const round = slowest(init, trainers, period) + Math.max(0, exchange + residual)
  return rowOf(init, strategy, network, trainers, (p * period * model.batch * 1000) / round, (2 * (p - 1) * wire) / period, 'formula')
}

/** The mean over rounds of the longest time that a trainer computes for `period` steps, ms. */
function slowest({ model, delay, delayTrace, seed }: PlanInit, trainers: number, period: number): number {
  const rounds = Math.max(2, Math.ceil(DRAWS / period))
  const longest = new Float64Array(rounds)
  for (let slot = 0; slot < trainers; slot++) {
    const delays = createDelays(delay, slot, createRng(`${seed}/plan/${slot}`), delayTrace)
    let now = 0
    for (let round = 0; round < rounds; round++) {
      let time = 0
      for (let step = 0; step < period; step++) {
        const ms = delays.next(now, model.stepMs)
        time += ms
        now += ms
      }
      longest[round] = Math.max(longest[round]!, time)
    }
  }
  return longest.reduce((sum, x) => sum + x, 0) / rounds
}

function rowOf(
  { model }: PlanInit,
  { label }: PlannedStrategy,
  network: NetworkSpec,
  trainers: number,
  samplesPerSecond: number,
  bytesPerStep: number,
  method: PlanRow['method']
): PlanRow {
  return {
    strategy: label,
    network: network.name,
    trainers,
    samplesPerSecond,
    efficiency: samplesPerSecond / ((trainers * model.batch * 1000) / model.stepMs),
    stepMs: (trainers * model.batch * 1000) / samplesPerSecond,
    bytesPerStep,
    method
  }
}

/** What a plan takes for granted, one sentence each. */
export function planAssumptions(
  { model, networks, delay, arithmetic }: Pick<PlanInit, 'model' | 'networks' | 'delay' | 'arithmetic'>,
  delayName: string
): string[] {
  return [
    `${model.name}: ${model.parameters.toLocaleString('en')} float32 parameters, ${model.batch} samples a step of each trainer in ${model.stepMs} ms (${model.source}).`,
    ...networks.map(
      ({ name, latency: [least, greatest], gbps, framing }) =>
        `Network ${name}: one-way latency ${least === greatest ? least : `${least} to ${greatest}`} ms, ${gbps} Gbit/s in and out of each trainer, ${framing ? 'TLS over TCP headers counted' : 'no framing counted'}; no switch is oversubscribed.`
    ),
    `Computing times: ${delayName}${delay.model === 'constant' ? ', all trainers equally fast' : ''}. Adding up arrays: ${arithmetic} GB/s; applying updates takes no time.`,
    'Exchange does not overlap with the backward pass; reading data and evaluating take no time.',
    'This is throughput of training, not of learning: it says nothing of how many samples a strategy needs.',
    'Rows marked "formula" are the cost model of a ring allreduce with mean latencies, moved by what it misses of a simulation of 8 trainers; all others simulate every message.'
  ]
}
