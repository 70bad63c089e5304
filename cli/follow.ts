import type { JobEvent, JobStatus, NodeService } from '../actors/training/service-types.ts'
import { createView, type JobView, observe, progressLine } from './terminal/job-view.ts'
import type { Output } from './terminal/output.ts'

export interface ShowJobInit {
  service: NodeService
  job: string
  output: Output
  /** Go on until the job ends. @default true */
  live?: boolean
  /** Told of every event before it is shown. */
  onEvent?(event: JobEvent): void
  signal?: AbortSignal
}

/** Shows a job's events as they come, until it ends. @returns the job as the events told it */
export async function showJob({ service, job, output, live = true, onEvent, signal }: ShowJobInit): Promise<JobView> {
  const status: JobStatus = await service.job(job, { signal })
  const view = createView({ job, epochs: status.spec.epochs, epochSize: status.epochSize })
  for await (const event of service.follow(job, { live, signal })) {
    onEvent?.(event)
    output.record(event)
    for (const { text, live } of observe(view, event)) if (live || !output.live) output.line(text)
    output.setLive(progressLine(view))
  }
  output.endLive()
  return view
}
