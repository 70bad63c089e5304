import type { Command } from 'commander'
import type { JobStatus } from '../../actors/training/service-types.ts'
import type { Context } from '../context.ts'
import { nodeCommand } from '../options.ts'
import { count, figure, percent, plain, table } from '../terminal/format.ts'

export function jobsCommand(context: Context): Command {
  return nodeCommand('jobs', 'list the jobs of the mesh').action(async ({ node }) => {
    const { client } = await context.node(node)
    const jobs = await client.jobs()
    for (const job of jobs) context.output.record({ type: 'job', ...job })
    if (jobs.length === 0) context.output.line('no jobs; hand one in with mesh train')
    else for (const line of jobTable(jobs)) context.output.line(line)
  })
}

export function jobTable(jobs: JobStatus[]): string[] {
  const rows = jobs.map(job => [
    plain(job.job),
    plain(job.spec.name ?? `${job.spec.model} on ${job.spec.data}`),
    job.state,
    job.spec.steps === undefined ? `${Math.min(job.epoch + 1, job.spec.epochs)}/${job.spec.epochs}` : String(job.epoch + 1),
    job.spec.steps === undefined ? count(job.step) : `${count(job.step)}/${count(job.spec.steps)}`,
    job.loss === undefined ? '-' : figure(job.loss),
    job.accuracy === undefined ? '-' : percent(job.accuracy),
    job.samplesPerSecond === undefined ? '-' : count(job.samplesPerSecond),
    String(job.members.length),
    plain(job.message ?? '')
  ])
  return table(['JOB', 'NAME', 'STATE', 'EPOCH', 'STEP', 'LOSS', 'ACCURACY', 'SAMPLES/S', 'TRAINERS', ''], rows)
}
