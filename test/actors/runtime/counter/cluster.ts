import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRng } from '../../../../common/index.ts'
import type { Answer, Command } from './node.ts'

const PATIENCE = 90_000

class CounterNode {
  readonly directory: string
  #child: ChildProcess | undefined
  #waiting = new Map<number, (answer: Answer) => void>()
  #sequence = 0
  frozen = false

  constructor(directory: string) {
    this.directory = directory
  }

  get up(): boolean {
    return this.#child !== undefined && !this.frozen
  }

  async start(invite: string): Promise<void> {
    const child = fork(new URL('./node.ts', import.meta.url), [this.directory, ...(invite === '' ? [] : [invite])], { stdio: 'inherit' })
    const ready = Promise.withResolvers<void>()
    child.on('message', (answer: Answer) => {
      if (answer.id === 0) ready.resolve()
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    child.once('close', code => {
      ready.reject(new Error(`a node ended before it was up (${code})`))
      for (const [id, settle] of this.#waiting) settle({ id, error: 'Killed' })
      this.#waiting.clear()
    })
    await ready.promise
    this.#child = child
  }

  ask(type: Command['type']): Promise<Answer> {
    const id = ++this.#sequence
    return new Promise(resolve => {
      if (this.#child === undefined) return resolve({ id, error: 'Killed' })
      this.#waiting.set(id, resolve)
      this.#child.send({ id, type } satisfies Command, () => {})
    })
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    this.frozen = false
    const closed = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGKILL')
    await closed
  }

  freeze(on: boolean): void {
    this.frozen = on
    this.#child?.kill(on ? 'SIGSTOP' : 'SIGCONT')
  }
}

export interface Outcome {
  acknowledged: number
  unknown: number
  refused: number
  count: number
  faults: number
  /** Names of the errors that callers got, and how often. */
  errors: Map<string, number>
}

/** Errors after which it is certain that nothing was executed. */
const certain = new Set(['NoQuorumError', 'UnreachableError', 'NotDeliveredError', 'OverloadedError'])

export class CounterCluster {
  readonly folder: string
  readonly nodes: CounterNode[]

  private constructor(folder: string, size: number) {
    this.folder = folder
    this.nodes = Array.from({ length: size }, (_, i) => new CounterNode(join(folder, `n${i}`)))
  }

  static async start(size = 5): Promise<CounterCluster> {
    const cluster = new CounterCluster(await mkdtemp(join(tmpdir(), 'gradmesh-counter-')), size)
    const [first, ...rest] = cluster.nodes
    await first!.start('')
    const invite = String((await first!.ask('invite')).value)
    await Promise.all(rest.map(node => node.start(invite)))
    await cluster.until('all to see all', async () => {
      const seen = await Promise.all(cluster.nodes.map(n => n.ask('alive')))
      return seen.every(a => a.value === size)
    })
    return cluster
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + PATIENCE
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  /** The counter as any node reads it, once it can be read. */
  async count(): Promise<number> {
    let value: unknown
    await this.until('the counter to answer', async () => {
      value = (await this.nodes.find(n => n.up)!.ask('get')).value
      return typeof value === 'number'
    })
    return value as number
  }

  /**
   * Takes increments until `target` are acknowledged, while nodes are killed, restarted and frozen at random.
   *
   * @param most - nodes that may be unavailable at a time
   */
  async torment(target: number, seed: string | number, most = 2): Promise<Outcome> {
    const random = createRng(seed)
    const outcome: Outcome = { acknowledged: 0, unknown: 0, refused: 0, count: 0, faults: 0, errors: new Map() }
    let over = false
    const caller = async () => {
      while (!over && outcome.acknowledged < target) {
        const up = this.nodes.filter(n => n.up)
        const answer = await up[random.int(up.length)]!.ask('add')
        if (answer.error === undefined) outcome.acknowledged++
        else {
          outcome.errors.set(answer.error, (outcome.errors.get(answer.error) ?? 0) + 1)
          if (certain.has(answer.error)) outcome.refused++
          else outcome.unknown++
        }
      }
    }
    const faults = (async () => {
      for (let at = 0; outcome.acknowledged < target; at = outcome.acknowledged) {
        // The first fault is the first node's death.
        const first = outcome.faults === 0
        const down = this.nodes.filter(n => !n.up)
        const victim = first ? this.nodes[0]! : this.nodes[random.int(this.nodes.length)]!
        if (victim.up && down.length < most) {
          outcome.faults++
          if (first || random.float() < 0.6) await victim.kill()
          else victim.freeze(true)
        } else if (!victim.up) await this.#back(victim)
        const step = target / 40
        await Promise.race([
          new Promise(resolve => setTimeout(resolve, 1500)),
          this.until('progress', () => outcome.acknowledged >= at + step || outcome.acknowledged >= target)
        ])
      }
    })()
    await Promise.all([faults, ...Array.from({ length: 16 }, caller)]).finally(() => {
      over = true
    })
    for (const node of this.nodes) if (!node.up) await this.#back(node)
    outcome.count = await this.count()
    return outcome
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(n => n.kill()))
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }

  async #back(node: CounterNode): Promise<void> {
    if (node.frozen) node.freeze(false)
    else await node.start('')
  }
}
