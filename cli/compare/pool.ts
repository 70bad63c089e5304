import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AbortedError } from '../../common/index.ts'
import type { MetricLine } from './simulated-run.ts'
import type { RunResult, RunSpec } from './types.ts'
import type { WorkerReply, WorkerRequest } from './worker.ts'

/** How one run ended. */
export type Outcome = { result: RunResult; metrics: MetricLine[] } | { error: string }

/**
 * Carries out simulated runs on threads, `threads` at a time. A run that fails, or takes its thread down, is told as failed and the
 * others go on.
 *
 * @throws AbortedError when `signal` is aborted; what runs then is lost
 */
export async function runOnThreads(init: {
  specs: readonly RunSpec[]
  threads: number
  versions: RunResult['versions']
  onStart(spec: RunSpec): void
  onEnd(spec: RunSpec, outcome: Outcome): void
  signal: AbortSignal
}): Promise<void> {
  const { specs, threads, versions, signal } = init
  let next = 0
  const lane = async () => {
    let worker: Worker | undefined
    try {
      while (next < specs.length && !signal.aborted) {
        const spec = specs[next++]!
        worker ??= new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url))
        init.onStart(spec)
        const outcome = await ask(worker, { spec, versions }, signal)
        if ('crashed' in outcome) {
          await worker.terminate()
          worker = undefined
          init.onEnd(spec, { error: outcome.crashed })
        } else {
          init.onEnd(spec, outcome)
        }
      }
    } finally {
      await worker?.terminate()
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, specs.length)) }, lane))
  if (signal.aborted) throw new AbortedError('the comparison was interrupted')
}

function ask(worker: Worker, request: WorkerRequest, signal: AbortSignal): Promise<Outcome | { crashed: string }> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      signal.removeEventListener('abort', onAbort)
      act()
    }
    const onMessage = (reply: WorkerReply) => {
      settle(() => resolve(reply.type === 'done' ? { result: reply.result, metrics: reply.metrics } : { error: reply.error }))
    }
    const onError = (error: unknown) => settle(() => resolve({ crashed: error instanceof Error ? error.message : String(error) }))
    const onExit = (code: number) => settle(() => resolve({ crashed: `the run's thread ended with code ${code}` }))
    const onAbort = () => settle(() => reject(new AbortedError('the comparison was interrupted')))
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    else worker.postMessage(request)
  })
}
