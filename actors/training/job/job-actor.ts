import { type Clock, type Env, GradmeshError, type Logger, NoQuorumError, type Rng } from '../../../common/index.ts'
import type { Agreement } from '../../../mesh/index.ts'
import type { JobEvent as PublicEvent } from '../service-types.ts'
import type { EnrolReply, JobProgress } from './definition.ts'
import { composeGroup, majority } from './group.ts'
import { createJob, type JobEffect, type JobEvent, type JobState, jobStep, type Slot } from './job-core.ts'
import { type EnrolRequest, type GroupRecord, generationKey, groupRecord, type JobRecord, type Progress, voterReport } from './records.ts'

/** Between two looks at the job, ms. */
const TICK = 100
/** A job this young has no trainers yet that an activation could have missed, ms. */
const FRESH = 3000
/** A proposal that finds no majority by then is given up for now, ms. */
const PROPOSAL_DEADLINE = 3000

/** Progress to begin from, and the checkpoint of this very job that holds it, if there is one. */
export type Start = Progress & { checkpoint?: string }

/** What the node gives to a job's actor. */
export interface JobPorts {
  clock: Clock
  random: Rng
  logger: Logger
  agreement: Pick<Agreement, 'propose' | 'learn' | 'decided'>
  alive(): string[]
  /** Peers that left the mesh by their own signed word: they vote no more. */
  left(): string[]
  slots(): Slot[]
  /** The latest group record this node knows. */
  group(job: string): GroupRecord | undefined
  start(request: { node: string; slot: string; device: string }): Promise<void>
  dismiss(request: { node: string; slot: string }): Promise<void>
  /** Tell the members of a new group, and this node. */
  decided(group: GroupRecord): void
  emit(event: PublicEvent): void
  fail(message: string): void
  /** Where the run begins when no trainer holds a state of it. */
  start0(): Promise<Start>
}

/** Drives the core of one job: reads the register on activation, then carries out what the core asks for. */
export class JobActor {
  readonly #state: JobState
  readonly #ports: JobPorts
  readonly #ended = new AbortController()
  #cancelTick: (() => void) | undefined
  #paused = false
  #reading = false
  #founders: { of: string[]; start?: Start } | undefined
  #slots = ''

  constructor(record: JobRecord, synchronous: boolean, ports: JobPorts) {
    this.#ports = ports
    // Only saves a second and a half at the start; wrong clocks do no harm, since owners of slots admit or refuse.
    const fresh = Math.abs(Date.now() - record.submitted) < FRESH
    this.#state = createJob(record, synchronous, fresh, this.#env())
    this.#state.group = ports.group(record.job)
  }

  /** Reads what was decided before this activation, then begins to watch. */
  async begin(): Promise<void> {
    if (this.#state.synchronous) await this.#readRegister()
    this.#tick()
  }

  end(): void {
    this.#ended.abort()
    this.#cancelTick?.()
  }

  enrol(request: EnrolRequest): EnrolReply {
    this.#step({
      type: 'enrolled',
      member: request.member,
      generation: request.generation,
      progress: request.progress,
      ready: request.ready
    })
    const s = this.#state
    // A trainer that is further than the record known here was told of a decision: the register says which.
    if (s.synchronous && request.generation > (s.group?.generation ?? 0)) void this.#readRegister()
    if (s.synchronous) {
      return s.group !== undefined && s.group.generation > request.generation ? { group: groupRecord.encode(s.group) } : {}
    }
    // Who is not ready yet is told nothing: by the time it reads the answer it may be, and the founders named here may be long gone.
    if (s.initial === undefined || !request.ready) return {}
    if (this.#founders?.of !== s.initial) {
      this.#begin(s.initial)
      return {}
    }
    if (this.#founders.start === undefined) return {}
    const { checkpoint } = this.#founders.start
    return {
      founders: s.initial,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      peers: [...s.trainers.values()].map(e => ({ trainer: e.member.trainer, endpoints: e.member.endpoints }))
    }
  }

  /** Finds out where founders begin before they are told to. */
  #begin(founders: string[]): void {
    const begun: { of: string[]; start?: Start } = { of: founders }
    this.#founders = begun
    this.#ports.start0().then(
      start => {
        begun.start = start
      },
      error => {
        this.#ports.logger.warn(`the job cannot begin yet: ${error.message}`)
        if (this.#founders === begun) this.#founders = undefined
      }
    )
  }

  /** The node that supervises a trainer, if the trainer has enrolled. */
  nodeOf(trainer: string): string | undefined {
    return this.#state.trainers.get(trainer)?.member.node
  }

  /** Whether a node supervises a trainer of this job. */
  hosts(node: string): boolean {
    return [...this.#state.trainers.values()].some(e => e.member.node === node)
  }

  gone(trainer: string): void {
    this.#step({ type: 'gone', trainer })
  }

  complain(generation: number): void {
    this.#step({ type: 'complained', generation })
  }

  status(): JobProgress {
    const s = this.#state
    let progress: Progress = s.group?.resume ?? { step: 0, epoch: 0, position: 0 }
    for (const e of s.trainers.values()) if (e.progress.step > progress.step) progress = e.progress
    const members = s.synchronous ? (s.group?.members ?? []) : [...s.trainers.values()].map(e => e.member)
    return {
      state: s.phase,
      message: s.message,
      generation: s.group?.generation ?? (s.initial === undefined ? 0 : 1),
      members: members.map(m => ({ trainer: m.trainer, peer: m.node })),
      progress
    }
  }

  /** The live trainers, for whoever has to choose one. */
  get trainers(): { trainer: string; node: string; slot: string }[] {
    return [...this.#state.trainers.values()].map(e => e.member)
  }

  #env(): Env {
    return { now: this.#ports.clock.now(), random: this.#ports.random }
  }

  #tick(): void {
    if (this.#ended.signal.aborted) return
    const known = this.#ports.group(this.#state.record.job)
    if (known !== undefined && known.generation > (this.#state.group?.generation ?? 0)) this.#step({ type: 'learned', group: known })
    const alive = this.#ports.alive()
    const slots = this.#ports.slots()
    const seen = JSON.stringify([alive, slots])
    if (seen !== this.#slots) {
      this.#slots = seen
      this.#step({ type: 'view', alive, slots })
    } else this.#step({ type: 'tick' })
    this.#cancelTick = this.#ports.clock.setTimer(TICK, () => this.#tick())
  }

  #step(event: JobEvent): void {
    if (this.#ended.signal.aborted) return
    for (const effect of jobStep(this.#state, event, this.#env())) this.#carryOut(effect)
  }

  #carryOut(effect: JobEffect): void {
    const { job } = this.#state.record
    switch (effect.type) {
      case 'start':
        this.#ports.start(effect).catch(error => {
          this.#ports.logger.debug(`${effect.slot} starts no trainer: ${error.message}`)
          this.#step({ type: 'refused', slot: effect.slot, reason: error.message, unfit: false })
        })
        break
      case 'dismiss':
        this.#ports.dismiss(effect).catch(error => this.#ports.logger.debug(`cannot dismiss ${effect.slot}: ${error.message}`))
        break
      case 'propose':
        void this.#propose(effect)
        break
      case 'fail':
        this.#ports.fail(effect.message)
        break
      case 'phase':
        if (effect.phase === 'paused') {
          this.#ports.emit({ type: 'paused', job, missing: effect.missing, message: effect.message })
        } else if (effect.phase === 'running' && this.#paused) this.#ports.emit({ type: 'resumed', job })
        this.#paused = effect.phase === 'paused'
        this.#ports.emit({ type: 'state', job, state: effect.phase, ...(effect.message === '' ? {} : { message: effect.message }) })
        break
    }
  }

  /** A node found that it cannot serve the job. */
  unfit(slot: string, reason: string): void {
    this.#step({ type: 'refused', slot, reason, unfit: true })
  }

  async #propose(effect: Extract<JobEffect, { type: 'propose' }>): Promise<void> {
    const ports = this.#ports
    const { record } = this.#state
    const voters = this.#voters(effect.voters)
    const reachable = () => voters.filter(v => ports.alive().includes(v))
    const forced = record.spec.onSplit === 'continue' && reachable().length < majority(voters.length)
    const before = this.#state.group
    try {
      const start = await ports.start0()
      const result = await ports.agreement.propose(generationKey(record.job, effect.generation), {
        voters,
        outsider: true,
        ...(forced ? { quorum: Math.max(1, reachable().length) } : {}),
        learners: [...new Set(effect.members.map(m => m.node))],
        alive: () => ports.alive(),
        choose: reports =>
          groupRecord.encode(
            composeGroup({
              job: record,
              generation: effect.generation,
              members: effect.members,
              alive: ports.alive(),
              reports: reports.map(r => voterReport.decode(r.report)),
              forced,
              reason: effect.reason,
              ...(before === undefined ? {} : { founders: before.founders }),
              start
            })
          ),
        deadline: PROPOSAL_DEADLINE,
        signal: this.#ended.signal
      })
      const group = groupRecord.decode(result.value)
      if (result.mine) {
        ports.emit({
          type: 'generation',
          job: record.job,
          generation: group.generation,
          members: group.members.map(m => m.trainer),
          reason: group.forced ? `${group.reason}; without a majority, as chosen` : group.reason
        })
      }
      ports.decided(group)
      this.#step({ type: 'decided', group })
    } catch (error) {
      if (this.#ended.signal.aborted) return
      const alive = ports.alive()
      const missing = voters.filter(v => !alive.includes(v))
      const message =
        error instanceof NoQuorumError
          ? `paused: ${majority(voters.length)} of ${voters.length} voters must agree and ${missing.length > 0 ? missing.join(', ') : 'some'} did not answer; start the missing node again, or use --on-split continue`
          : error instanceof GradmeshError
            ? error.message
            : `cannot form generation ${effect.generation}: ${(error as Error).message}`
      ports.logger.debug(message)
      this.#step({ type: 'undecided', missing, message })
    }
  }

  /** All voters of the record; without those that left by their own word where a majority needs it. */
  #voters(voters: string[]): string[] {
    const alive = this.#ports.alive()
    if (voters.filter(v => alive.includes(v)).length >= majority(voters.length)) return voters
    const left = this.#ports.left()
    return voters.filter(v => !left.includes(v))
  }

  /** Follows the chain of registers from the latest record this node knows. */
  async #readRegister(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      await this.#followChain()
    } finally {
      this.#reading = false
    }
  }

  async #followChain(): Promise<void> {
    const s = this.#state
    for (;;) {
      const generation = (s.group?.generation ?? 0) + 1
      const voters = s.group?.voters ?? s.record.voters
      try {
        const decision = await this.#ports.agreement.learn(generationKey(s.record.job, generation), voters, {
          signal: this.#ended.signal,
          deadline: 1000
        })
        if (decision === undefined) return
        const group = groupRecord.decode(decision.value)
        if (group.job !== s.record.job || group.generation !== generation) return
        this.#step({ type: 'learned', group })
      } catch {
        // Nobody who knows answers in time: enrolments will tell, and a proposal finds what was decided.
        return
      }
    }
  }
}
