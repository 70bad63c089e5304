import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CallOptions,
  isFinal,
  type JobEvent,
  type JobFile,
  type JobSpec,
  type JobStatus,
  type NodeStatus,
  type StartEmbeddedOptions
} from '../../actors/training/service-types.ts'
import type { LocalNode } from '../../cli/context.ts'
import { AbortedError, type GradmeshError, InvalidParametersError, NotFoundError } from '../../common/index.ts'

/** A file of a fake job, by its text. */
export interface FakeFile {
  name: string
  text: string
}

export interface FakeInit {
  stateDir: string
  /** What a job reports once submitted; without a final state it goes on until stopped. */
  events?: JobEvent[]
  files?: FakeFile[]
  founded?: boolean
  taken?: string[]
  warnings?: string[]
}

/** A node in memory: jobs are scripts of events. */
export class FakeNode implements LocalNode {
  readonly stateDir: string
  readonly taken: string[]
  readonly founded: boolean
  readonly warnings: string[]
  readonly closed: Promise<void>
  readonly submitted: JobSpec[] = []
  readonly calls: string[] = []
  /** What the next submission is refused with. */
  refusal: GradmeshError | undefined
  /** What stop fails with. */
  stopFailure: GradmeshError | undefined
  submitWarnings: string[] = []
  #log: JobEvent[] = []
  #wake = Promise.withResolvers<void>()
  #resolveClosed: () => void
  readonly #init: FakeInit

  constructor(init: FakeInit) {
    this.#init = init
    this.stateDir = init.stateDir
    this.taken = init.taken ?? []
    this.founded = init.founded ?? true
    this.warnings = init.warnings ?? []
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.#resolveClosed = resolve
    mkdirSync(this.stateDir, { recursive: true })
  }

  async status(): Promise<NodeStatus> {
    const device = { id: 'cpu-0', kind: 'cpu' as const, name: 'Processor', memory: 8e9, providers: ['cpu'] }
    const fabrics = [{ kind: 'tcp' as const, device: 'eth0' }]
    const member = (peer: string, self: boolean) => ({
      peer,
      state: 'alive' as const,
      addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${peer}`],
      self,
      devices: [device, { ...device, id: 'cpu-1' }],
      fabrics,
      labels: self ? { room: 'attic' } : ({} as Record<string, string>)
    })
    return {
      node: 'node',
      peer: '12D3KooWFakeFakeA',
      mesh: 'zMesh',
      version: '0.1.0',
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      members: [member('12D3KooWFakeFakeA', true), member('12D3KooWFakeFakeB', false)],
      devices: [device],
      fabrics,
      trainers: [
        {
          job: 'job-1',
          slot: 'cpu-0',
          pid: 4242,
          state: 'running',
          step: 17,
          channels: { shm: 1 },
          eventLoopDelay: { p50: 1, p99: 3.25, max: 9 }
        }
      ],
      eventLoopDelay: { p50: 1.04, p99: 2.5, max: 11 },
      jobs: await this.jobs()
    }
  }

  async submit(spec: JobSpec): Promise<{ job: string; warnings: string[] }> {
    if (this.refusal !== undefined) throw this.refusal
    this.submitted.push(spec)
    this.emit(...(this.#init.events ?? []))
    return { job: 'job-1', warnings: this.submitWarnings }
  }

  async jobs(): Promise<JobStatus[]> {
    return this.submitted.length === 0 ? [] : [await this.job('job-1')]
  }

  async job(id: string): Promise<JobStatus> {
    this.#known(id)
    return {
      job: id,
      spec: this.submitted[0] as JobSpec,
      state: 'running',
      generation: 1,
      members: [{ trainer: 't0', peer: '12D3KooWFakeFakeA' }],
      step: 17,
      epoch: 0,
      samples: 1088,
      epochSize: 1000,
      loss: 0.5,
      accuracy: 0.9731,
      samplesPerSecond: 2345,
      submitted: 0
    }
  }

  async *follow(
    id: string,
    { from = 0, live = true, signal }: CallOptions & { from?: number; live?: boolean } = {}
  ): AsyncGenerator<JobEvent> {
    this.#known(id)
    for (let i = from; ; ) {
      while (i < this.#log.length) {
        const event = this.#log[i++] as JobEvent
        yield event
        if (event.type === 'state' && isFinal(event.state)) return
      }
      if (!live) return
      await new Promise<void>((resolve, reject) => {
        const abort = () => reject(new AbortedError('following was aborted'))
        if (signal?.aborted) return abort()
        signal?.addEventListener('abort', abort, { once: true })
        void this.#wake.promise.then(resolve)
      })
    }
  }

  /** Adds events to the job's. */
  emit(...events: JobEvent[]): void {
    this.#log.push(...events)
    const wake = this.#wake
    this.#wake = Promise.withResolvers()
    wake.resolve()
  }

  async stop(id: string): Promise<void> {
    this.#known(id)
    this.calls.push('stop')
    if (this.stopFailure !== undefined) throw this.stopFailure
    this.emit({ type: 'checkpoint', job: id, step: 20, name: '000020' }, { type: 'state', job: id, state: 'stopped' })
  }

  async files(id: string): Promise<JobFile[]> {
    this.#known(id)
    return (this.#init.files ?? []).map(({ name, text }) => ({ name, bytes: Buffer.byteLength(text), cid: `cid-${text}` }))
  }

  async *file(id: string, name: string): AsyncGenerator<Uint8Array> {
    this.#known(id)
    const file = this.#init.files?.find(file => file.name === name)
    if (file === undefined) throw new NotFoundError(`job ${id} has no file ${name}`)
    this.calls.push(`file ${name}`)
    const bytes = Buffer.from(file.text)
    for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3)
  }

  async invite({ ttl }: { ttl: number }): Promise<string> {
    return `invite-${ttl}`
  }

  async leave(): Promise<void> {
    this.calls.push('leave')
    this.#resolveClosed()
  }

  async close(): Promise<void> {
    this.calls.push('close')
    this.#resolveClosed()
  }

  #known(id: string): void {
    if (id !== 'job-1') throw new NotFoundError(`no job is called '${id}'`)
  }
}

/** The events of a job of one epoch that goes well. */
export function goodRun({ accuracy = 0.9812 }: { accuracy?: number } = {}): JobEvent[] {
  const job = 'job-1'
  const metrics = (trainer: string, rank: number, step: number): JobEvent => ({
    type: 'metrics',
    job,
    trainer,
    rank,
    step,
    epoch: 0,
    samples: step * 64,
    loss: 2 / step,
    samplesPerSecond: 1000,
    bytesSent: step * 1000,
    computeMs: 30,
    exchangeMs: 10,
    time: step * 1000
  })
  return [
    { type: 'state', job, state: 'starting' },
    { type: 'generation', job, generation: 1, members: ['t0', 't1'], reason: 'first group' },
    { type: 'state', job, state: 'running' },
    ...[1, 2, 3, 4].flatMap(step => [metrics('t0', 0, step), metrics('t1', 1, step)]),
    { type: 'checkpoint', job, step: 4, name: '000004' },
    { type: 'epoch', job, epoch: 0, committed: 1000, duplicated: 0 },
    { type: 'evaluation', job, epoch: 0, step: 4, accuracy, loss: 0.07 },
    { type: 'state', job, state: 'done' }
  ]
}

export const goodFiles: FakeFile[] = [
  { name: 'checkpoints/000004/manifest.json', text: '{"step":4}' },
  { name: 'checkpoints/000004/model.safetensors', text: 'weights and weights' },
  { name: 'model.onnx', text: 'a model' }
]

/** What `startEmbedded` is in a test: a fake node in a folder under `base`. */
export function embedder(base: string, init: Omit<FakeInit, 'stateDir'>) {
  const started: { options: StartEmbeddedOptions; node: FakeNode }[] = []
  const startEmbedded = async (options: StartEmbeddedOptions) => {
    if (options.trainers > 8) throw new InvalidParametersError(`this machine has 8 slots, not ${options.trainers}`)
    const node = new FakeNode({ ...init, stateDir: join(base, 'gradmesh', 'fake') })
    started.push({ options, node })
    return node
  }
  return { started, startEmbedded }
}
