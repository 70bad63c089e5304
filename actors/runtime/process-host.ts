import { type ChildProcess, fork } from 'node:child_process'
import { type Clock, CrashedError, createRng, DeadlineError, type Logger } from '../../common/index.ts'
import type { ProcessDefinition } from './definition.ts'
import { type CallOptions, DEFAULT_DEADLINE } from './handle.ts'
import { type IpcMessage, IpcPeer } from './ipc.ts'
import { createSupervision, defaultRestart, type SupervisionEffect, type SupervisionEvent, supervisionStep } from './supervision-core.ts'

export interface ProcessHostInit {
  definition: ProcessDefinition
  actor: string
  key: string
  /** Peer id of this node. */
  self: string
  /** Handed to the module's `serve` callback; again after a restart. */
  argument: unknown
  env?: Record<string, string>
  clock: Clock
  logger: Logger
  /** Carries the process's own calls to other actors. */
  route(call: Extract<IpcMessage, { type: 'call' }>, signal: AbortSignal): Promise<unknown>
  /** The process ended by itself; `final` when it will not be started again. */
  onExit?(reason: string, final: boolean): void
}

/** One actor in a process of its own, supervised: started again when it ends by itself, killed when it is told to stop. */
export class ProcessHost {
  readonly #init: ProcessHostInit
  readonly #supervision
  readonly #random
  readonly #timers = new Map<string, () => void>()
  #child: ChildProcess | undefined
  #peer: IpcPeer | undefined
  #up = false
  #ready: PromiseWithResolvers<void> = Promise.withResolvers()
  #exited: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(init: ProcessHostInit) {
    this.#init = init
    this.#supervision = createSupervision({ ...defaultRestart, ...init.definition.restart })
    this.#random = createRng(`${init.actor}/${init.key}`)
    this.#start()
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Whether the process is up and answers calls. */
  get ready(): boolean {
    return this.#up
  }

  get phase(): string {
    return this.#supervision.phase
  }

  /** Calls the actor once its process is up. */
  async call(method: string, argument: unknown, from: string, options: CallOptions = {}): Promise<unknown> {
    if (this.#supervision.phase === 'failed' || this.#supervision.phase === 'stopped') {
      throw new CrashedError(`the process of ${this.#init.actor}/${this.#init.key} has ended for good`)
    }
    await this.#whenReady(options.deadline ?? DEFAULT_DEADLINE)
    if (this.#peer === undefined) throw new CrashedError(`the process of ${this.#init.actor}/${this.#init.key} is down`)
    return this.#peer.call({ actor: '', key: this.#init.key }, method, argument, from, options)
  }

  async #whenReady(deadline: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const { actor, key } = this.#init
      timer = setTimeout(() => reject(new DeadlineError(`the process of ${actor}/${key} is not up after ${deadline} ms`)), deadline)
    })
    try {
      await Promise.race([this.#ready.promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Kills the process for good. Resolves once it is gone. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#step({ type: 'stop' })
    if (child !== undefined) await this.#exited.promise
  }

  /** Kills the process as a crash would: its supervision decides what follows. */
  crash(): void {
    this.#child?.kill('SIGKILL')
  }

  #start(): void {
    const { definition, actor, key, self, argument, env, logger } = this.#init
    this.#exited = Promise.withResolvers()
    const child = fork(definition.process, [`${actor}/${key}`], {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env }
    })
    this.#child = child
    const peer = new IpcPeer(child, this.#init.route)
    this.#peer = peer
    child.on('message', (message: IpcMessage) => {
      if (message.type === 'ready') {
        this.#up = true
        this.#ready.resolve()
      } else peer.receive(message)
    })
    const tail: string[] = []
    const log = (data: Buffer) => {
      for (const line of data.toString().split('\n')) {
        if (line.trim() === '') continue
        tail.push(line)
        if (tail.length > 20) tail.shift()
        logger.debug(line.slice(0, 2000))
      }
    }
    child.stdout?.on('data', log)
    child.stderr?.on('data', log)
    child.on('error', error => logger.error(`cannot start a process: ${error.message}`))
    child.once('close', (code, signal) => {
      // What an uncaught error says, before the trailer that Node prints after it.
      const last = tail.findLast(line => /error/i.test(line)) ?? tail.at(-1)
      const reason = `the process of ${actor}/${key} ended (${signal ?? `exit code ${code}`})${last === undefined ? '' : `: ${last.slice(0, 500)}`}`
      this.#child = undefined
      this.#up = false
      this.#peer = undefined
      this.#ready.promise.catch(() => {})
      this.#ready.reject(new CrashedError(reason))
      this.#ready = Promise.withResolvers()
      this.#ready.promise.catch(() => {})
      peer.close(reason)
      this.#exited.resolve()
      this.#step({ type: 'exited', reason })
    })
    peer.send({ type: 'init', key, self, argument })
  }

  #step(event: SupervisionEvent): void {
    const wasRunning = event.type === 'exited' && this.#supervision.phase === 'running'
    const effects = supervisionStep(this.#supervision, event, { now: this.#init.clock.now(), random: this.#random })
    if (wasRunning && event.type === 'exited') this.#init.onExit?.(event.reason, this.#supervision.phase === 'failed')
    for (const effect of effects) this.#carryOut(effect)
  }

  #carryOut(effect: SupervisionEffect): void {
    switch (effect.type) {
      case 'start':
        this.#start()
        break
      case 'kill':
        this.#child?.kill('SIGKILL')
        break
      case 'giveUp':
        this.#init.logger.error(effect.reason)
        break
      case 'setTimer':
        this.#timers.get(effect.id)?.()
        this.#timers.set(
          effect.id,
          this.#init.clock.setTimer(effect.delay, () => this.#step({ type: 'timer', id: effect.id }))
        )
        break
      case 'cancelTimer':
        this.#timers.get(effect.id)?.()
        break
    }
  }
}
