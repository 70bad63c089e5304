import type { JobEvent, JobState } from '../../actors/training/service-types.ts'
import { count, figure, percent, plain, short, time } from './format.ts'

type Metrics = Extract<JobEvent, { type: 'metrics' }>

/** Plain lines about progress come this far apart at least, by the events' own time, ms. */
const PLAIN_EVERY = 2000

/** A job as its events show it. */
export interface JobView {
  job: string
  epochs: number
  /** Steps that end the job before its epochs do, where it has such. */
  steps?: number
  /** Samples of one epoch; 0 while unknown. */
  epochSize: number
  state: JobState
  epoch: number
  step: number
  /** Latest metrics of each trainer of the current generation. */
  trainers: Map<string, Metrics>
  /** Trainers of the current generation; 0 before the first one. */
  size: number
  accuracy?: number
  /** Why it waits or pauses. */
  message?: string
  /** Time of the last plain line about progress. */
  told: number
}

export function createView(init: { job: string; epochs: number; steps?: number; epochSize: number; state?: JobState }): JobView {
  return { ...init, state: init.state ?? 'starting', epoch: 0, step: 0, trainers: new Map(), size: 0, told: Number.NEGATIVE_INFINITY }
}

/** Takes an event into the view. @returns the lines it is worth printing where no live line is shown; `live` marks those worth it always */
export function observe(view: JobView, event: JobEvent): { text: string; live: boolean }[] {
  switch (event.type) {
    case 'metrics':
      return observeMetrics(view, event)
    case 'evaluation': {
      if (event.accuracy !== undefined) view.accuracy = event.accuracy
      const worst = event.worstLocalAccuracy === undefined ? '' : `, worst trainer's own ${percent(event.worstLocalAccuracy)}`
      const accuracy = event.accuracy === undefined ? '' : `test accuracy ${percent(event.accuracy)}, `
      return always(`epoch ${event.epoch + 1}, step ${event.step}: ${accuracy}test loss ${figure(event.loss)}${worst}`)
    }
    case 'generation': {
      view.size = event.members.length
      for (const trainer of view.trainers.keys()) if (!event.members.includes(trainer)) view.trainers.delete(trainer)
      return always(`generation ${event.generation}: ${plural(event.members.length, 'trainer')} (${plain(event.reason)})`)
    }
    case 'epoch': {
      const twice = event.duplicated === 0 ? '' : `, ${count(event.duplicated)} of them trained twice`
      return always(`epoch ${event.epoch + 1}: ${count(event.committed)} samples committed${twice}`)
    }
    case 'paused':
      view.state = 'paused'
      view.message = event.message
      return always(`paused: ${plain(event.message)}`)
    case 'resumed':
      view.state = 'running'
      view.message = undefined
      return always('resumed')
    case 'state':
      view.state = event.state
      view.message = event.message
      return always(event.message === undefined || event.message === event.state ? event.state : `${event.state}: ${plain(event.message)}`)
    case 'log':
      return event.level === 'warn' || event.level === 'error' ? always(`${short(plain(event.node))}: ${plain(event.message)}`) : []
    case 'checkpoint':
      return [{ text: `checkpoint ${plain(event.name)} at step ${event.step}`, live: false }]
  }
}

function observeMetrics(view: JobView, event: Metrics): { text: string; live: boolean }[] {
  view.trainers.set(event.trainer, event)
  if (view.state === 'starting' || view.state === 'waiting') view.state = 'running'
  view.step = Math.max(view.step, event.step)
  view.epoch = Math.max(view.epoch, event.epoch)
  if (event.time - view.told < PLAIN_EVERY) return []
  view.told = event.time
  return [{ text: progressLine(view), live: false }]
}

/** Everything about the job's progress in one line, the most important first: a narrow terminal cuts the end. */
export function progressLine(view: JobView): string {
  if (view.state === 'paused') return `paused: ${plain(view.message ?? 'too few trainers')}`
  if (view.trainers.size === 0) return view.message === undefined ? view.state : `${view.state}: ${plain(view.message)}`
  const metrics = [...view.trainers.values()]
  const rate = sum(metrics, m => m.samplesPerSecond)
  const parts =
    view.steps === undefined
      ? [`epoch ${view.epoch + 1}/${view.epochs}`, `step ${view.step}`]
      : [`step ${view.step}/${view.steps}`, `epoch ${view.epoch + 1}`]
  parts.push(`loss ${figure(meanLoss(metrics))}`)
  if (view.accuracy !== undefined) parts.push(`accuracy ${percent(view.accuracy)}`)
  parts.push(`${count(rate)} samples/s`)
  const left = timeLeft(view, metrics, rate)
  if (left !== undefined) parts.push(`${time(left)} left`)
  parts.push(plural(Math.max(view.size, metrics.length), 'trainer'))
  parts.push(`${percent(exchangeShare(metrics), 0)} in exchange`)
  if (view.state !== 'running') parts.unshift(view.state)
  return parts.join('  ')
}

/** Mean over trainers; each reports the mean of its own batch. */
function meanLoss(metrics: Metrics[]): number {
  return sum(metrics, m => m.loss) / metrics.length
}

/** Share of the trainers' time that they spent exchanging, as last reported. */
export function exchangeShare(metrics: Metrics[]): number {
  const exchange = sum(metrics, m => m.exchangeMs)
  const all = exchange + sum(metrics, m => m.computeMs)
  return all === 0 ? 0 : exchange / all
}

/** ms until the end at the present rate; undefined while it cannot be told. */
function timeLeft(view: JobView, metrics: Metrics[], rate: number): number | undefined {
  if (view.epochSize === 0 || rate === 0) return undefined
  const done = Math.max(...metrics.map(m => m.samples))
  if (view.steps !== undefined && view.step === 0) return undefined
  const total = view.steps === undefined ? view.epochs * view.epochSize : (done / view.step) * view.steps
  return (Math.max(0, total - done) / rate) * 1000
}

function always(text: string): { text: string; live: boolean }[] {
  return [{ text, live: true }]
}

function sum<T>(items: T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function plural(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
