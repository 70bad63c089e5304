import { AdmissionError, FencedError, NotFoundError, UnreachableError } from '../../../common/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import { type ActorType, actor, type Handlers } from '../../runtime/index.ts'
import type { JobCalls } from '../job/definition.ts'
import type { JobActor } from '../job/job-actor.ts'
import { checkEnrolment } from '../job/records.ts'
import type { TrainerNotice } from '../trainer/definition.ts'
import type { NodeCalls } from './definition.ts'
import type { Files } from './file-exchange.ts'
import type { LocalJob } from './local-job.ts'
import type { LocalTrainers } from './local-trainers.ts'

/** The job actor: what others may ask of it. A node speaks for its own trainers and slots, for no others. */
export function jobActor(make: (key: string) => JobActor): ActorType<JobCalls> {
  return actor<JobActor, Handlers<JobActor, JobCalls>>('job', {
    create: async ({ key }) => {
      const made = make(key)
      await made.begin()
      return made
    },
    destroy: made => made.end(),
    calls: {
      enrol: ({ state, from }, request) => {
        const enrolment = checkEnrolment(request)
        if (enrolment.member.node !== from || !enrolment.member.slot.startsWith(`${from}/`)) throw notYours(from)
        return state.enrol(enrolment)
      },
      gone: ({ state, from }, trainer) => {
        if ((state.nodeOf(trainer) ?? from) !== from) throw notYours(from)
        state.gone(trainer)
      },
      unfit: ({ state, from }, { slot, reason }) => {
        if (!String(slot).startsWith(`${from}/`)) throw notYours(from)
        state.unfit(slot, String(reason).slice(0, 2000))
      },
      complain: ({ state, from }, generation) => {
        if (!state.hosts(from)) throw notYours(from)
        state.complain(generation)
      },
      status: ({ state }) => state.status()
    }
  })
}

function notYours(from: string): AdmissionError {
  return new AdmissionError(`${from} may speak for its own trainers only`)
}

export interface NodeActorInit {
  mesh: Mesh
  files: Files
  trainers: LocalTrainers
  /** @throws NotFoundError */
  job(id: string): LocalJob
  /** The node that watches over a job, as this one sees it. */
  owner(job: string): string
  stopping(): boolean
  notice(job: LocalJob, slot: string, notice: TrainerNotice): Promise<void>
}

/** The node's own actor: the node that watches over a job may start, stop and checkpoint trainers; the rest is for its own trainers. */
export function nodeActor(init: NodeActorInit): ActorType<NodeCalls> {
  const { mesh, trainers } = init
  const own = (peer: string) => {
    if (peer !== mesh.peer) throw new UnreachableError(`this is node ${mesh.peer}, not ${peer}`)
  }
  const watching = (from: string, job: string) => {
    if (from !== init.owner(job)) throw new FencedError(`${from} does not watch over job ${job}, as this node sees it`)
  }
  return actor<null, Handlers<null, NodeCalls>>('node', {
    // A trainer that writes a checkpoint tells its node about the file in mid-call.
    reentrant: true,
    create: ({ key }) => {
      own(key)
      return null
    },
    calls: {
      start: ({ from }, { job, slot, device }) => {
        watching(from, job)
        if (init.stopping()) throw new UnreachableError('this node is stopping')
        return trainers.start(init.job(job), slot, device)
      },
      dismiss: ({ from }, { job, slot }) => {
        watching(from, job)
        return trainers.dismiss(init.job(job), slot)
      },
      certify: ({ from }, { job, slot, peer }) => {
        own(from)
        const local = init.job(job).trainers.get(slot)
        if (local === undefined) throw new NotFoundError(`no trainer was started in ${slot}`)
        local.trainer = peer
        return { mesh: mesh.name, certificate: mesh.certifyTrainer(peer) }
      },
      checkpoint: async ({ from }, { job, slot }) => {
        watching(from, job)
        const host = init.job(job).trainers.get(slot)?.host
        if (host === undefined) throw new NotFoundError(`no trainer runs in ${slot}`)
        return (await host.call('checkpoint', null, mesh.peer, { deadline: 25_000 })) as { name: string; step: number }
      },
      locate: ({ from }, { job, checkpoint }) => {
        own(from)
        return init.files.checkpointPaths(init.job(job), checkpoint)
      },
      notice: ({ from }, { job, slot, notice }) => {
        own(from)
        return init.notice(init.job(job), slot, notice)
      }
    }
  })
}
