import { isFinal, type JobEvent, type JobStatus, type NodeService } from '../actors/training/service-types.ts'
import { hash32, UnreachableError } from '../common/index.ts'
import { createView, type JobView, observe, progressLine } from './terminal/job-view.ts'
import type { Output } from './terminal/output.ts'

/** Through which node a job is followed; another one takes its place when it goes away. */
export interface Through {
  service: NodeService
}

export interface FollowInit {
  through: Through
  job: string
  /** Go on until the job ends. @default true */
  live?: boolean
  /** Another node of this machine to follow through when the present one is gone. */
  next?(): Promise<NodeService | undefined>
  signal?: AbortSignal
}

export interface ShowJobInit extends FollowInit {
  output: Output
  /** Told of every event before it is shown. */
  onEvent?(event: JobEvent): void
}

/** Shows a job's events as they come, until it ends. @returns the job as the events told it */
export async function showJob({ output, onEvent, ...init }: ShowJobInit): Promise<JobView> {
  const { through, job, signal } = init
  const status: JobStatus = await through.service.job(job, { signal })
  const { epochs, steps } = status.spec
  const view = createView({ job, epochs, ...(steps === undefined ? {} : { steps }), epochSize: status.epochSize })
  for await (const event of followJob(init)) {
    onEvent?.(event)
    output.record(event)
    const lines = observe(view, event)
    // The live line stands below what is printed, so it has to know first; the job's end is printed below it.
    if (event.type === 'state' && isFinal(event.state)) output.endLive()
    else output.setLive(progressLine(view))
    for (const { text, live } of lines) if (live || !output.live) output.line(text)
  }
  output.endLive()
  return view
}

/**
 * A job's events, also beyond the death of the node that tells them. Every node tells all of them, each in an order of its own: what
 * has been told is left out, as often as it was told.
 *
 * @throws UnreachableError when the node is gone and there is no other
 */
export async function* followJob({ through, job, live, next, signal }: FollowInit): AsyncGenerator<JobEvent> {
  const told = new Map<number, number>()
  for (;;) {
    const again = new Map<number, number>()
    try {
      for await (const event of through.service.follow(job, { live, signal })) {
        const key = keyOf(event)
        const times = (again.get(key) ?? 0) + 1
        again.set(key, times)
        if (times <= (told.get(key) ?? 0)) continue
        told.set(key, times)
        yield event
      }
      return
    } catch (error) {
      if (!(error instanceof UnreachableError) || signal?.aborted) throw error
      const other = await next?.()
      if (other === undefined) {
        throw new UnreachableError(
          `the node that was followed is gone; the job goes on with the others: mesh logs ${job} where one of them runs`,
          {
            cause: error
          }
        )
      }
      through.service = other
    }
  }
}

/** 53 bits of a hash of the event, whatever the order of its fields. */
function keyOf(event: JobEvent): number {
  const text = JSON.stringify(Object.entries(event).sort(([a], [b]) => (a < b ? -1 : 1)))
  return hash32(text) * 2 ** 21 + (hash32(text, 1) >>> 11)
}
