import type { Logger } from '../../../common/index.ts'
import { bytesOf, sharedFloats } from './arenas.ts'
import type { Peers } from './peers.ts'
import type { TrainingRun } from './run.ts'

/** A live trainer answers in this time or its replica is left out, ms. */
const ANSWER_DEADLINE = 15_000

const transferOf = (round: number, giver: string, taker: string) => `final:${round}:${giver}:${taker}`

/** Asks every live trainer for its replica and its weight. @returns the weighted mean, and the replicas it was made of */
export async function collectModel(init: {
  run: TrainingRun
  round: number
  /** Of this trainer's own replica. */
  weight: number
  peers: string[]
  channels: Peers
  /** Where the session hands in the weights that arrive. */
  weights: Map<string, (weight: number) => void>
  signal: AbortSignal
  logger: Logger
}): Promise<{ mean: Float32Array<SharedArrayBuffer>; locals: Float32Array<SharedArrayBuffer>[] }> {
  const own = init.run.arenas.parameters.slice()
  const replicas: { weight: number; parameters: Float32Array }[] = [{ weight: init.weight, parameters: own }]
  await Promise.all(
    init.peers.map(async peer => {
      const signal = AbortSignal.any([init.signal, AbortSignal.timeout(ANSWER_DEADLINE)])
      try {
        const channel = init.channels.channel(peer)
        if (channel === undefined) throw new Error('no channel')
        const parameters = sharedFloats(own.length)
        const weight = new Promise<number>((resolve, reject) => {
          init.weights.set(peer, resolve)
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
        const landed = channel.receive(transferOf(init.round, peer, init.channels.self), bytesOf(parameters), { signal })
        init.channels.send(peer, { type: 'final', round: init.round })
        const [w] = await Promise.all([weight, landed])
        replicas.push({ weight: w, parameters })
      } catch (error) {
        init.logger.warn(`the replica of ${peer} is left out of the model: ${error instanceof Error ? error.message : error}`)
      }
    })
  )
  const total = replicas.reduce((sum, r) => sum + r.weight, 0)
  const sum = new Float64Array(own.length)
  for (const { weight, parameters } of replicas) {
    const share = total > 0 ? weight / total : 1 / replicas.length
    for (let i = 0; i < sum.length; i++) sum[i]! += share * parameters[i]!
  }
  const mean = sharedFloats(own.length)
  mean.set(sum)
  return { mean, locals: replicas.map(r => shared(r.parameters)) }
}

/** Answers another trainer that collects. */
export async function giveModel(init: {
  to: string
  round: number
  weight: number
  parameters: Float32Array
  channels: Peers
}): Promise<void> {
  const { to, round, weight, channels } = init
  const copy = init.parameters.slice()
  channels.send(to, { type: 'weight', round, weight })
  await channels
    .channel(to)
    ?.send(transferOf(round, channels.self, to), bytesOf(copy))
    .catch(() => {})
}

function shared(values: Float32Array): Float32Array<SharedArrayBuffer> {
  if (values.buffer instanceof SharedArrayBuffer) return values as Float32Array<SharedArrayBuffer>
  const copy = sharedFloats(values.length)
  copy.set(values)
  return copy
}

/** The lower of two accuracies; none where a loss knows none. */
export function lower(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.min(a, b)
}
