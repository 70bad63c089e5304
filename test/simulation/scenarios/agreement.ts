import { shuffle } from '../../../common/index.ts'
import { DecidedAfterHealing } from '../checkers/decided-after-healing.ts'
import { OneDecision } from '../checkers/one-decision.ts'
import { PromisesKept } from '../checkers/promises-kept.ts'
import { type AgreementProgramOptions, agreementProgram } from '../programs/agreement.ts'
import type { Scenario } from '../scenario.ts'

/** Several nodes propose for the same few keys while everything goes wrong. */
export function duellingProposers(options: AgreementProgramOptions = {}): Scenario {
  return {
    name: 'duelling-proposers',
    nodes: [3, 7],
    boot: () => agreementProgram(options),
    network: { minDelay: 2, meanDelay: 120, loss: 0.6, duplicate: 0.1, reorder: 0.5 },
    disk: { minDelay: 1, meanDelay: 150 },
    from: 0,
    until: 15_000,
    end: 60_000,
    troubles: {
      crash: 500,
      downFor: 1500,
      freeze: 5000,
      freezeFor: 3000,
      stall: 1000,
      cut: 4000,
      clog: 6000,
      cutFor: 3000,
      skew: 5000,
      skewBy: 0.2
    },
    script(world, random, names) {
      for (let k = 0; k < 8; k++) {
        const key = `job/${k}`
        const voters = shuffle([...names], random).slice(0, 3 + random.int(names.length - 2))
        const start = random.float() * 13_000
        const tries = 2 + random.int(6)
        for (let i = 0; i < tries; i++) {
          const node = names[random.int(names.length)]!
          const command = random.float() < 0.85 ? 'propose' : 'learn'
          world.at(start + random.float() * 1500, () => world.command(node, command, { key, voters, learners: names }))
        }
        // one asks when all is well again, so that every key ends up decided
        world.at(16_000 + random.float() * 100, () => world.command(voters[0]!, 'propose', { key, voters, learners: names }))
      }
    },
    checkers: () => [new OneDecision(), new PromisesKept(), new DecidedAfterHealing()]
  }
}
