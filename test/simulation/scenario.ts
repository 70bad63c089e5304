import { createRng, type Rng } from '../../common/index.ts'
import {
  type Boot,
  type DiskSettings,
  drawFaults,
  type NetworkSettings,
  type ScheduledFault,
  schedule,
  type Troubles,
  World
} from '../../mesh/simulation/index.ts'
import { type Checker, Violation } from './checkers/checker.ts'

/** A scenario as data: who runs what, what goes wrong, what must hold. All that is drawn is drawn from the seed. */
export interface Scenario {
  name: string
  /** Fewest and most nodes. */
  nodes: [number, number]
  /** The software of a node. */
  boot(names: string[]): Boot
  /** The worst the links are: all figures are multiplied by one share drawn from the seed. */
  network: Partial<NetworkSettings>
  /** The worst the disks are, likewise. */
  disk?: Partial<DiskSettings>
  /** Faults come after `from` ms, and all are undone at `until`; the run ends at `end`. */
  from: number
  until: number
  end: number
  troubles: Troubles
  /** Nodes that may be down or frozen at a time; a minority by default. */
  maxDown?: (nodes: number) => number
  /** Faults besides the drawn ones. */
  faults?(random: Rng, names: string[]): ScheduledFault[]
  /** What the outside asks of the nodes. */
  script?(world: World, random: Rng, names: string[]): void
  checkers(): Checker[]
}

export interface Result {
  scenario: string
  seed: number
  /** Equal for two runs of the same seed. */
  hash: string
  events: number
  violation?: Violation
  /** The last lines of what happened. */
  trace: string[]
  checkers: Checker[]
}

export function runScenario(scenario: Scenario, seed: number, keepTrace = 0): Result {
  const id = `${scenario.name}/${seed}`
  const random = createRng(id).fork('scenario')
  const network = scaled(scenario.network, random.float())
  const disk = scaled(scenario.disk ?? {}, random.float())
  const world = new World({ seed: id, keepTrace, network, disk })
  const [fewest, most] = scenario.nodes
  const names = Array.from({ length: fewest + random.int(most - fewest + 1) }, (_, i) => `n${i}`)
  const checkers = scenario.checkers()
  world.observers.push(...checkers)
  const boot = scenario.boot(names)
  for (const name of names) world.add(name, boot)
  const down = scenario.maxDown ?? (n => Math.floor((n - 1) / 2))
  schedule(world, drawFaults(random.fork('faults'), names, scenario.troubles, scenario.from, scenario.until, down(names.length)))
  schedule(world, scenario.faults?.(random.fork('more faults'), names) ?? [])
  // links stop losing when the faults end
  world.at(scenario.until, () => {
    world.network.settings = { ...world.network.settings, loss: 0, duplicate: 0, reorder: 0 }
  })
  const result = { scenario: scenario.name, seed, checkers }
  try {
    for (const name of names) world.start(name)
    scenario.script?.(world, random.fork('script'), names)
    world.run(scenario.end)
    for (const checker of checkers) checker.end?.(world)
    return { ...result, hash: world.trace.hash, events: world.events, trace: world.trace.lines }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { ...result, hash: world.trace.hash, events: world.events, trace: world.trace.lines, violation: error }
  }
}

function scaled<T extends object>(figures: T, share: number): T {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, (value as number) * share])) as T
}

/** The command that runs one seed again, with its trace. */
export function replayCommand({ scenario, seed }: Pick<Result, 'scenario' | 'seed'>): string {
  return `npm run simulate -- --scenario ${scenario} --seed ${seed}`
}
