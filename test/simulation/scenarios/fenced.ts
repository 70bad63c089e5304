import { AcknowledgedSurvive } from '../checkers/acknowledged-survive.ts'
import { EpochsRise } from '../checkers/epochs-rise.ts'
import { OneWriter } from '../checkers/one-writer.ts'
import { type FencedProgramOptions, fencedProgram } from '../programs/fenced.ts'
import type { Scenario } from '../scenario.ts'

/** Several nodes want to own one fenced actor and write to it while everything goes wrong. */
export function ownersUnderFaults(options: FencedProgramOptions = {}): Scenario {
  return {
    name: 'owners-under-faults',
    nodes: [3, 5],
    boot: names => fencedProgram(names, options),
    network: { minDelay: 1, meanDelay: 40, loss: 0.2, duplicate: 0.1, reorder: 0.4 },
    disk: { minDelay: 1, meanDelay: 30 },
    from: 500,
    until: 9000,
    end: 14_000,
    troubles: {
      crash: 700,
      downFor: 700,
      freeze: 3000,
      freezeFor: 1500,
      stall: 1000,
      cut: 2000,
      clog: 4000,
      cutFor: 1500,
      skew: 5000,
      skewBy: 0.1
    },
    script(world, random, names) {
      for (let i = 0; i < 40; i++) {
        const node = names[random.int(names.length)]!
        world.at(random.float() * 13_000, () => world.command(node, 'claim', {}))
      }
      // Somebody reads at the very end what all have left.
      world.at(11_000, () => world.command(names[0]!, 'claim', {}))
    },
    checkers: () => [new OneWriter(), new EpochsRise(), new AcknowledgedSurvive()]
  }
}
