import { DeclaredInTime } from '../checkers/declared-in-time.ts'
import { NoFalseDeath } from '../checkers/no-false-death.ts'
import { Recovered } from '../checkers/recovered.ts'
import { type MembershipProgramOptions, membershipProgram } from '../programs/membership.ts'
import type { Scenario } from '../scenario.ts'

type Options = Omit<MembershipProgramOptions, 'seeds'>

const boot = (options: Options) => (names: string[]) => membershipProgram({ ...options, seeds: names.slice(0, 2) })

/** Longest time to a declaration that is let pass, ms; the share within 2 s is asserted apart. */
export const DECLARATION_BOUND = 2500

/** One of five is killed, unplugged or frozen while all event loops are busy. */
export function oneGoes(options: Options = {}): Scenario {
  return {
    name: 'one-goes',
    nodes: [5, 5],
    boot: boot(options),
    network: { minDelay: 0.5, meanDelay: 6 },
    from: 0,
    until: 12_000,
    end: 15_000,
    // every node stalls for 50 to 300 ms once a second
    troubles: { stall: 200, stallFor: [50, 300] },
    faults(random, names) {
      const node = names[random.int(names.length)]!
      const at = 5000 + 2000 * random.float()
      const fault = [
        { type: 'freeze', node } as const,
        { type: 'crash', node, notice: true } as const,
        { type: 'crash', node, notice: false } as const
      ][random.int(3)]!
      return [{ at, fault }]
    },
    checkers: () => [new DeclaredInTime(DECLARATION_BOUND), new NoFalseDeath()]
  }
}

/** Busy event loops and now and then a long stall, and nobody goes: ten minutes. */
export function busyForLong(options: Options = {}, minutes = 10): Scenario {
  return {
    name: 'busy-for-long',
    nodes: [2, 8],
    boot: boot(options),
    network: { minDelay: 1, meanDelay: 20 },
    from: 0,
    until: minutes * 60_000,
    end: minutes * 60_000 + 5000,
    troubles: { stall: 250, stallFor: [50, 300] },
    faults: (random, names) => {
      const faults = []
      for (let at = 3000; at < minutes * 60_000; at += 4000 * random.float()) {
        const stall = { type: 'stall', node: names[random.int(names.length)]!, duration: 300 + 400 * random.float() } as const
        faults.push({ at, fault: stall })
      }
      return faults
    },
    checkers: () => [new NoFalseDeath(), new Recovered()]
  }
}

/** Everything goes wrong for a while; then all find each other. */
export function healing(options: Options = {}): Scenario {
  return {
    name: 'healing',
    nodes: [3, 8],
    boot: boot(options),
    network: { minDelay: 2, meanDelay: 40, loss: 0.1, duplicate: 0.1, reorder: 0.3 },
    from: 3000,
    until: 30_000,
    end: 65_000,
    troubles: {
      crash: 5000,
      downFor: 8000,
      freeze: 6000,
      freezeFor: 6000,
      stall: 500,
      cut: 4000,
      clog: 8000,
      cutFor: 8000,
      skew: 4000,
      skewBy: 0.1
    },
    maxDown: n => n - 1,
    checkers: () => [new Recovered()]
  }
}
