import { parentPort } from 'node:worker_threads'
import { type MetricLine, simulatedRun } from './simulated-run.ts'
import type { RunResult, RunSpec } from './types.ts'

/** A thread that carries out simulated runs, one after the other. */

export interface WorkerRequest {
  spec: RunSpec
  versions: RunResult['versions']
}

export type WorkerReply = { type: 'done'; result: RunResult; metrics: MetricLine[] } | { type: 'failed'; error: string }

const port = parentPort!

port.on('message', async ({ spec, versions }: WorkerRequest) => {
  const metrics: MetricLine[] = []
  let reply: WorkerReply
  try {
    reply = { type: 'done', result: await simulatedRun(spec, { versions, onMetric: line => metrics.push(line) }), metrics }
  } catch (error) {
    reply = { type: 'failed', error: error instanceof Error ? error.message : String(error) }
  }
  port.postMessage(reply)
})
