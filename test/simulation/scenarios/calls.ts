import { CallsEnd } from '../checkers/calls-end.ts'
import { ExecutedOnce } from '../checkers/executed-once.ts'
import { PairOrder } from '../checkers/pair-order.ts'
import { type CallsProgramOptions, callsProgram } from '../programs/calls.ts'
import type { Scenario } from '../scenario.ts'

/** Nodes call actors of each other while links fail and nodes crash. */
export function callsUnderFaults(options: CallsProgramOptions = {}): Scenario {
  return {
    name: 'calls-under-faults',
    nodes: [2, 5],
    boot: () => callsProgram(options),
    network: { minDelay: 1, meanDelay: 60, loss: 0.2, duplicate: 0.2, reorder: 0.4 },
    from: 0,
    until: 8000,
    end: 16_000,
    troubles: {
      crash: 1500,
      downFor: 800,
      freeze: 4000,
      freezeFor: 1000,
      stall: 1000,
      cut: 3000,
      clog: 4000,
      cutFor: 1000,
      skew: 5000,
      skewBy: 0.1
    },
    script(world, random, names) {
      for (let i = 0; i < 300; i++) {
        const [from, to] = [names[random.int(names.length)]!, names[random.int(names.length)]!]
        world.at(random.float() * 9000, () => world.command(from, 'call', { to, idempotent: random.float() < 0.2 }))
      }
    },
    checkers: () => [new ExecutedOnce(), new PairOrder(), new CallsEnd()]
  }
}
