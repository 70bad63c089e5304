import type { Rng } from '../../common/index.ts'
import type { NetworkSettings } from './network.ts'
import type { World } from './world.ts'

/** One thing that goes wrong, or right again. */
export type Fault =
  /** `notice`: the others see their connections close (the process was killed), or not (the power went). */
  | { type: 'crash'; node: string; notice: boolean }
  | { type: 'restart'; node: string }
  | { type: 'freeze'; node: string }
  | { type: 'thaw'; node: string }
  | { type: 'stall'; node: string; duration: number }
  /** Messages from any of `from` to any of `to` vanish; the other way they pass. */
  | { type: 'cut'; from: string[]; to: string[] }
  /** Messages from any of `from` to any of `to` wait. */
  | { type: 'clog'; from: string[]; to: string[] }
  /** Ends cuts and clogs. */
  | { type: 'heal' }
  | { type: 'network'; settings: Partial<NetworkSettings> }
  /** The node's clock runs at this rate from now on. */
  | { type: 'skew'; node: string; rate: number }

export interface ScheduledFault {
  /** ms of world time. */
  at: number
  fault: Fault
}

export function applyFault(world: World, fault: Fault): void {
  world.observe('', 'fault', { ...fault })
  switch (fault.type) {
    case 'crash':
      world.crash(fault.node, fault.notice)
      break
    case 'restart':
      world.start(fault.node)
      break
    case 'freeze':
      world.freeze(fault.node)
      break
    case 'thaw':
      world.thaw(fault.node)
      break
    case 'stall':
      world.stall(fault.node, fault.duration)
      break
    case 'cut':
      for (const from of fault.from) for (const to of fault.to) if (from !== to) world.network.cut(from, to)
      break
    case 'clog':
      for (const from of fault.from) for (const to of fault.to) if (from !== to) world.network.clog(from, to)
      break
    case 'heal':
      world.network.heal(world.now)
      break
    case 'network':
      world.network.settings = { ...world.network.settings, ...fault.settings }
      break
    case 'skew': {
      const node = world.node(fault.node)
      // the clock does not jump
      node.offset = node.clock(world.now) - world.now * fault.rate
      node.rate = fault.rate
      break
    }
  }
}

export function schedule(world: World, faults: ScheduledFault[]): void {
  for (const { at, fault } of faults) world.at(at, () => applyFault(world, fault))
}

/** How often each kind of trouble comes, as mean times between two of them in ms; absent ones never come. */
export interface Troubles {
  /** A node is killed, and restarted after up to `downFor` ms. */
  crash?: number
  downFor?: number
  /** A node is frozen for up to `freezeFor` ms. */
  freeze?: number
  freezeFor?: number
  /** A node's event loop stands still for between `stallFor[0]` and `stallFor[1]` ms. */
  stall?: number
  stallFor?: [number, number]
  /** The mesh is cut in two, or one way, or around one node, for up to `cutFor` ms; or clogged in the same shapes. */
  cut?: number
  clog?: number
  cutFor?: number
  /** A clock starts to run up to this share faster or slower. */
  skew?: number
  skewBy?: number
}

/**
 * Draws faults between `from` and `until`; at `until` all of them are undone: nodes run, links are whole. At most `maxDown` nodes are
 * down or frozen at a time.
 */
export function drawFaults(
  random: Rng,
  nodes: string[],
  troubles: Troubles,
  from: number,
  until: number,
  maxDown: number
): ScheduledFault[] {
  const faults: ScheduledFault[] = []
  const downUntil = new Map<string, number>()
  const times = (mean: number | undefined, each: (at: number, draw: Rng) => void, label: string) => {
    if (mean === undefined) return
    const draw = random.fork(label)
    const pause = () => -mean * Math.log(1 - draw.float())
    for (let at = from + pause(); at < until; at += pause()) each(at, draw)
  }
  const takeDown = (at: number, draw: Rng, longest: number): { node: string; end: number } | undefined => {
    const node = nodes[draw.int(nodes.length)]!
    const end = Math.min(until, at + longest * draw.float())
    const down = [...downUntil.values()].filter(t => t >= at).length
    if (down >= maxDown || (downUntil.get(node) ?? 0) >= at) return undefined
    downUntil.set(node, end)
    return { node, end }
  }
  const downs: [number, 'crash' | 'freeze', Rng][] = []
  times(troubles.crash, (at, draw) => downs.push([at, 'crash', draw]), 'crash')
  times(troubles.freeze, (at, draw) => downs.push([at, 'freeze', draw]), 'freeze')
  for (const [at, kind, draw] of downs.sort((a, b) => a[0] - b[0])) {
    const down = takeDown(at, draw, (kind === 'crash' ? troubles.downFor : troubles.freezeFor) ?? 5000)
    if (down === undefined) continue
    const { node, end } = down
    faults.push({ at, fault: kind === 'crash' ? { type: 'crash', node, notice: draw.float() < 0.5 } : { type: 'freeze', node } })
    faults.push({ at: end, fault: { type: kind === 'crash' ? 'restart' : 'thaw', node } })
  }
  times(
    troubles.stall,
    (at, draw) => {
      const [min, max] = troubles.stallFor ?? [50, 300]
      const duration = Math.min(min + (max - min) * draw.float(), until - at)
      faults.push({ at, fault: { type: 'stall', node: nodes[draw.int(nodes.length)]!, duration } })
    },
    'stall'
  )
  for (const type of ['cut', 'clog'] as const) {
    times(
      troubles[type],
      (at, draw) => {
        for (const [from, to] of drawShape(draw, nodes)) faults.push({ at, fault: { type, from, to } })
        faults.push({ at: Math.min(until, at + (troubles.cutFor ?? 5000) * draw.float()), fault: { type: 'heal' } })
      },
      type
    )
  }
  times(
    troubles.skew,
    (at, draw) => {
      const rate = 1 + (troubles.skewBy ?? 0.01) * (2 * draw.float() - 1)
      faults.push({ at, fault: { type: 'skew', node: nodes[draw.int(nodes.length)]!, rate } })
    },
    'skew'
  )
  faults.push({ at: until, fault: { type: 'heal' } })
  return faults.sort((a, b) => a.at - b.at)
}

/** Which directions are hit: a split in two halves, one direction of it, or one node's in- or outgoing side. */
function drawShape(random: Rng, nodes: string[]): [string[], string[]][] {
  const half = nodes.filter(() => random.float() < 0.5)
  const rest = nodes.filter(n => !half.includes(n))
  const one = [nodes[random.int(nodes.length)]!]
  switch (random.int(4)) {
    case 0:
      return [
        [half, rest],
        [rest, half]
      ]
    case 1:
      return [[half, rest]]
    case 2:
      return [[one, nodes]]
    default:
      return [[nodes, one]]
  }
}
