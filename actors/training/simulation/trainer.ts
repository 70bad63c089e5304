import type { Rng } from '../../../common/index.ts'
import type { Range, StrategyEvent } from '../exchange/index.ts'
import type { Accounts } from './accounts.ts'
import type { Delays } from './delays.ts'
import type { SampleSlice, TrainerWork } from './workload.ts'

/** A transfer that its sender has begun. */
export interface Transfer {
  id: string
  from: SimulatedTrainer
  to: string
  range: Range
  /** Earliest time the sender can let it go, ms. */
  ready: number
  /** It was matched with its landing. */
  begun: boolean
}

/** A landing that its receiver has named. */
export interface Landing {
  from: string
  into: Range
  /** When the sender knows of it, ms. */
  known: number
}

/** What a synchronous strategy with rounds goes back to. */
export interface Committed {
  step: number
  position: number
  /** Absent where sizes alone are simulated. */
  arenas?: { parameters: Float32Array; optimizer: Float32Array; state: Float32Array }
}

/** One simulated trainer: a strategy's state and the memory it works on. */
export class SimulatedTrainer {
  readonly name: string
  /** Number of its slot: what delays and links go by. A restarted process keeps the slot and has another name. */
  readonly slot: number
  readonly state: unknown
  readonly random: Rng
  readonly delays: Delays
  readonly work: TrainerWork
  readonly accounts: Accounts
  alive = true
  leaving = false
  /** It was told of a group. */
  grouped = false
  generation = 0
  /** Raised whenever transfers, timers and computations become void. */
  era = 0
  /** Steps applied. */
  step = 0
  /** Samples committed when the last step was applied, of a synchronous job. */
  position = 0
  committed: Committed | undefined
  /** Until when its main thread does arithmetic, ms. */
  busyUntil = 0
  readonly inbox: StrategyEvent[] = []
  draining = false
  readonly sends = new Map<string, Transfer>()
  readonly receives = new Map<string, Landing>()
  readonly timers = new Map<string, object>()
  /** The samples whose gradients are being computed or exchanged. */
  slice: SampleSlice | undefined
  /** The computation its strategy asked for while there were no samples. */
  waiting: { generation: number; step: number } | undefined

  constructor(init: Pick<SimulatedTrainer, 'name' | 'slot' | 'state' | 'random' | 'delays' | 'work' | 'accounts'>) {
    this.name = init.name
    this.slot = init.slot
    this.state = init.state
    this.random = init.random
    this.delays = init.delays
    this.work = init.work
    this.accounts = init.accounts
  }

  /** The state as it now is is what all ranks have agreed on. */
  commit(): void {
    const { arenas } = this.work
    this.committed = { step: this.step, position: this.position }
    if (arenas === undefined) return
    const { parameters, optimizer, state } = arenas
    this.committed.arenas = { parameters: parameters.slice(), optimizer: optimizer.slice(), state: state.slice() }
  }

  /** Local steps since the last commit are nobody's: back to it. */
  rollBack(): void {
    const { committed } = this
    if (committed === undefined) return
    this.step = committed.step
    this.position = committed.position
    const { arenas } = this.work
    if (arenas === undefined || committed.arenas === undefined) return
    for (const name of ['parameters', 'optimizer', 'state'] as const) arenas[name].set(committed.arenas[name])
  }

  /** Everything under way is void. */
  void(now: number): void {
    this.era++
    this.sends.clear()
    this.receives.clear()
    this.timers.clear()
    this.inbox.length = 0
    this.waiting = undefined
    this.slice = undefined
    this.accounts.clear(now)
  }
}
