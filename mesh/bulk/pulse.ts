import { type Clock, systemClock } from '../../common/index.ts'
import { HEARTBEAT_INTERVAL, SILENCE_TIMEOUT } from './limits.ts'

export interface PulseOptions {
  clock?: Clock
  /** An idle wire sends a heartbeat this often, ms. @default 3000 */
  heartbeatInterval?: number
  /** A peer from which nothing came for so long is taken for gone, ms. @default 20000 */
  silenceTimeout?: number
}

/** Signs of life on a connection: sends them when nothing else was sent, and notices when none come. */
export class Pulse {
  readonly #clock: Clock
  readonly #interval: number
  readonly #timeout: number
  readonly #events: { standing(): boolean; beat(): void; silent(silence: number): void }
  #heard: number
  #spoke: number
  #cancel: () => void = () => {}
  #stopped = false

  /**
   * @param events - `standing`: nothing is read at present, so that silence says nothing; `beat`: send a sign of life; `silent`: the
   * peer has been silent for so many ms
   */
  constructor(options: PulseOptions, events: { standing(): boolean; beat(): void; silent(silence: number): void }) {
    this.#clock = options.clock ?? systemClock
    this.#interval = options.heartbeatInterval ?? HEARTBEAT_INTERVAL
    this.#timeout = options.silenceTimeout ?? SILENCE_TIMEOUT
    this.#events = events
    this.#heard = this.#spoke = this.#clock.now()
    this.#arm()
  }

  heard(): void {
    this.#heard = this.#clock.now()
  }

  spoke(): void {
    this.#spoke = this.#clock.now()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #arm(): void {
    const armed = this.#clock.now()
    this.#cancel = this.#clock.setTimer(this.#interval, () => {
      if (this.#stopped) return
      const now = this.#clock.now()
      // a late timer says that this process stood still, not that the peer was silent
      if (this.#events.standing() || now - armed > 2 * this.#interval) this.#heard = now
      if (now - this.#heard > this.#timeout) {
        this.#events.silent(now - this.#heard)
        return
      }
      if (now - this.#spoke >= this.#interval) this.#events.beat()
      if (!this.#stopped) this.#arm()
    })
  }
}
