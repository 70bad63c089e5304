// `npm run simulate -- --seeds N`: draws N seeds over the scenarios, each run twice with --twice. A seed that fails prints the command
// that runs it again with its trace.
import { parseArgs } from 'node:util'
import { type Result, replayCommand, runScenario } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'

const usage = `usage: npm run simulate -- [--seeds N] [--from SEED] [--scenario NAME] [--twice] | --scenario NAME --seed SEED
scenarios: ${scenarios.map(s => s.scenario.name).join(', ')}`

/** Failures after which a run ends. */
const MAX_FAILURES = 10

function main(): number {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string', default: '0' },
      scenario: { type: 'string' },
      seed: { type: 'string' },
      twice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seeds = whole(values.seeds)
  const from = whole(values.from)
  const chosen = scenarios.filter(s => values.scenario === undefined || s.scenario.name === values.scenario)
  if (chosen.length === 0) throw new TypeError(`there is no scenario '${values.scenario}'`)
  if (values.seed !== undefined) {
    if (chosen.length !== 1) throw new TypeError('--seed needs --scenario')
    return replay(chosen[0]!.scenario.name, whole(values.seed))
  }
  const total = chosen.reduce((sum, s) => sum + s.share, 0)
  let failures = 0
  for (const { scenario, share } of chosen) {
    const count = Math.max(1, Math.round((seeds * share) / total))
    const started = performance.now()
    let events = 0
    for (let seed = from; seed < from + count && failures < MAX_FAILURES; seed++) {
      const result = runScenario(scenario, seed)
      events += result.events
      const broken = result.violation?.message ?? (values.twice ? difference(result, runScenario(scenario, seed)) : undefined)
      if (broken === undefined) continue
      failures++
      console.log(`${scenario.name}, seed ${seed}: ${broken}\n  ${replayCommand(result)}`)
    }
    const seconds = (performance.now() - started) / 1000
    console.log(`${scenario.name}: ${count} seeds, ${events} events in ${seconds.toFixed(1)} s`)
  }
  if (failures > 0) console.log(`${failures} seeds failed`)
  return failures > 0 ? 1 : 0
}

function difference(a: Result, b: Result): string | undefined {
  return a.hash === b.hash ? undefined : `two runs differ: trace ${a.hash} and ${b.hash}`
}

function replay(name: string, seed: number): number {
  const { scenario } = scenarios.find(s => s.scenario.name === name)!
  const result = runScenario(scenario, seed, 500)
  for (const line of result.trace) console.log(line)
  console.log(`${name}, seed ${seed}: ${result.violation?.message ?? 'nothing wrong'}; ${result.events} events, trace ${result.hash}`)
  return result.violation === undefined ? 0 : 1
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`'${text}' is not a whole number`)
  return Number(text)
}

try {
  process.exitCode = main()
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  console.error(`${error.message}\n${usage}`)
  process.exitCode = 2
}
