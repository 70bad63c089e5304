import { hash32, InvalidParametersError, mix32 } from '../../../common/index.ts'

/** How the links and network cards of a simulated cluster are. */
export interface NetworkSpec {
  name: string
  /** Least and greatest one-way latency, ms; each message draws its own from its link's generator. */
  latency: [number, number]
  /** Of each trainer's card, in each direction, Gbit/s; Infinity for none to speak of. */
  gbps: number
  /** Bytes travel in TLS records over TCP and Ethernet, whose headers count; without, as RDMA does, there are none to speak of. */
  framing: boolean
  /** Links that are other than the rest, by the numbers of the trainers' slots. */
  links?: { from: number; to: number; latency?: [number, number]; gbps?: number }[]
}

/** Named networks: figures of the usual kind, not of one product. */
export const networkPresets: Readonly<Record<string, NetworkSpec>> = {
  ideal: { name: 'ideal', latency: [0, 0], gbps: Number.POSITIVE_INFINITY, framing: false },
  ib: { name: 'ib', latency: [0.001, 0.003], gbps: 100, framing: false },
  '10gbe': { name: '10gbe', latency: [0.1, 0.2], gbps: 10, framing: true },
  lan: { name: 'lan', latency: [0.2, 0.5], gbps: 1, framing: true },
  wan: { name: 'wan', latency: [20, 60], gbps: 0.1, framing: true }
}

/** What `--network` may say. */
export const networkForms = [...Object.keys(networkPresets), 'LATENCYms/RATEgbps (for example 0.15ms/10gbps or 20-60ms/0.1gbps)']

/** The network that `text` names. @throws InvalidParametersError that lists the forms */
export function parseNetwork(text: string): NetworkSpec {
  const preset = Object.hasOwn(networkPresets, text) ? networkPresets[text] : undefined
  if (preset !== undefined) return preset
  const [, least, greatest, rate] = /^(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?ms\/(\d+(?:\.\d+)?)gbps$/i.exec(text) ?? []
  const latency: [number, number] = [Number(least), Number(greatest ?? least)]
  if (rate !== undefined && Number(rate) > 0 && latency[0] <= latency[1]) return { name: text, latency, gbps: Number(rate), framing: true }
  throw new InvalidParametersError(`there is no network '${text.slice(0, 100)}'; choose one of ${networkForms.join(', ')}`)
}

/** Milliseconds a byte takes at `gbps`. */
export function byteTime(gbps: number): number {
  return 8 / (gbps * 1e6)
}

/** Links whose numbers lie in arrays. */
const MAX_DENSE = 4_194_304

/**
 * What `bytes` of payload grow by on a framed network: a frame's header (24), TLS 1.3 (22 a record of 16 KiB), Ethernet, IP and TCP
 * (66 a segment of 1,448).
 */
export function framingOf(bytes: number): number {
  const records = 24 + bytes + 22 * Math.ceil((bytes + 24) / 16384)
  return records - bytes + 66 * Math.ceil(records / 1448)
}

/**
 * Links between slots 0 … n−1, and a network card at each. A transfer leaves through its sender's card and enters through its
 * receiver's, one after the other at each and first come, first served; between them it is cut through, so that an idle path takes
 * latency + bytes/rate. What waits at a receiver waits in the switch and does not hold the sender up. Small messages take latency +
 * bytes/rate and do not queue behind bulk, as their connections are others.
 */
export class SimulatedNetwork {
  readonly #spec: NetworkSpec
  readonly #seed: number
  readonly #slots: number
  /** Draws of each link so far. */
  readonly #counts: Table
  /** When the last message of each link arrives: a pair's messages keep their order. */
  readonly #last: Table
  readonly #links = new Map<number, { latency: [number, number]; byte: number }>()
  readonly #leaves: number[] = []
  readonly #enters: number[] = []
  readonly #byte: number

  /** @param slots - trainers at the most that send at a time; more are served, at more memory a link */
  constructor(spec: NetworkSpec, slots: number, seed: string) {
    const [least, greatest] = spec.latency
    if (!(least >= 0 && greatest >= least && spec.gbps > 0)) {
      throw new InvalidParametersError(
        `network '${spec.name}' needs latencies of at least 0 ms in ascending order and a rate above 0 Gbit/s`
      )
    }
    this.#spec = spec
    this.#seed = hash32(seed)
    this.#slots = slots
    const dense = slots * slots <= MAX_DENSE ? slots * slots : 0
    this.#counts = new Table(new Uint32Array(dense))
    this.#last = new Table(new Float64Array(dense))
    this.#byte = byteTime(spec.gbps)
    for (const { from, to, latency = spec.latency, gbps = spec.gbps } of spec.links ?? []) {
      this.#links.set(linkKey(from, to), { latency, byte: byteTime(gbps) })
    }
  }

  /** One-way latency of the next thing that goes from `from` to `to`, ms. */
  latency(from: number, to: number): number {
    const [least, greatest] = (this.#links.size > 0 ? this.#links.get(linkKey(from, to)) : undefined)?.latency ?? this.#spec.latency
    if (least === greatest) return least
    // a generator per link that takes two words instead of an object: there may be a million links
    const key = from < this.#slots && to < this.#slots ? from * this.#slots + to : -linkKey(from, to)
    const count = this.#counts.get(key)
    this.#counts.set(key, count + 1)
    const draw = mix32(
      Math.imul(count + 1, 0x9e3779b9) ^ mix32(this.#seed ^ Math.imul(from + 1, 0x85ebca6b) ^ Math.imul(to + 1, 0xc2b2ae35))
    )
    return least + (greatest - least) * (draw / 4294967296)
  }

  /** Time a message of `bytes` needs on the link without queueing, latency left out, ms. */
  wire(from: number, to: number, bytes: number): number {
    return bytes * (this.#links.size === 0 ? this.#byte : Math.max(this.#byte, this.#links.get(linkKey(from, to))?.byte ?? 0))
  }

  /** When a message of `bytes` sent at `time` arrives. */
  message(from: number, to: number, time: number, bytes: number): number {
    const key = from < this.#slots && to < this.#slots ? from * this.#slots + to : -linkKey(from, to)
    const at = Math.max(time + this.latency(from, to) + this.wire(from, to, bytes), this.#last.get(key))
    this.#last.set(key, at)
    return at
  }

  /** Takes the sender's card for `bytes` from `now` on. @returns when the first byte leaves */
  leave(from: number, now: number, bytes: number): number {
    const start = Math.max(now, this.#leaves[from] ?? 0)
    this.#leaves[from] = start + bytes * this.#byte
    return start
  }

  /** Takes the receiver's card for `bytes` whose first one arrives at `now`. @returns when the last one is in */
  enter(from: number, to: number, now: number, bytes: number): number {
    const start = Math.max(now, this.#enters[to] ?? 0)
    this.#enters[to] = start + bytes * this.#byte
    return start + this.wire(from, to, bytes)
  }
}

/** Numbers by key, 0 where none was set: in an array as far as it goes, else in a map. */
class Table {
  readonly #dense: Uint32Array | Float64Array
  readonly #sparse = new Map<number, number>()

  constructor(dense: Uint32Array | Float64Array) {
    this.#dense = dense
  }

  get(key: number): number {
    return key >= 0 && key < this.#dense.length ? this.#dense[key]! : (this.#sparse.get(key) ?? 0)
  }

  set(key: number, value: number): void {
    if (key >= 0 && key < this.#dense.length) this.#dense[key] = value
    else this.#sparse.set(key, value)
  }
}

/** Slots are below 2²⁰. */
function linkKey(from: number, to: number): number {
  return from * 1048576 + to
}
