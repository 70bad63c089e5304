import t from 'tap'
import { stringify } from 'yaml'
import { experimentOf, parseExperimentFile } from '../../../cli/compare/experiment.ts'
import { nearest } from '../../../cli/compare/nearest.ts'
import { presets } from '../../../cli/compare/presets.ts'
import { reportedRuns, tunedRates, tuningRuns } from '../../../cli/compare/runs.ts'
import { experiment, result } from './fixtures.ts'

t.test('an experiment file with an unknown key names it and the nearest known one', async t => {
  const read = (text: string) => parseExperimentFile(text, 'x.yaml')
  t.throws(() => read('strategys: [gossip]\n'), {
    name: 'InvalidParametersError',
    message: "x.yaml: there is no key 'strategys'; did you mean 'strategies'?"
  })
  t.throws(() => read('delay: [constant]\n'), { message: "x.yaml: there is no key 'delay'; did you mean 'delays'?" })
  t.throws(() => read('zzzzzzzzzzzz: 1\n'), { message: /there is no key 'zzzzzzzzzzzz'; known are name, / })
  t.throws(() => read('- a\n'), { message: /must hold keys/ })
  t.throws(() => read('a: [\n'), { message: /^x\.yaml is no YAML/ })
  t.throws(() => experimentOf({ strategies: [{ strategy: 'gossip', option: { slots: 2 } }] }, 'x.yaml'), {
    message: "x.yaml, strategies: there is no key 'option'; did you mean 'options'?"
  })
  t.equal(nearest('allreduce', ['gossip', 'all-reduce']), 'all-reduce')
  t.equal(nearest('qqq', ['gossip']), undefined)
})

t.test('wrong settings are named', async t => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ strategies: ['gosip'] }, /no exchange strategy is called 'gosip'.*allreduce.*gossip/],
    [{ strategies: [{ strategy: 'gossip', options: { slot: 1 } }] }, /strategy 'gossip' has no option 'slot'/],
    [{ strategies: [] }, /'strategies' must be a list/],
    [{ strategies: ['gossip', 'gossip'] }, /two strategies are called 'gossip'; give each a label/],
    [{ delays: ['sometimes'] }, /there is no delay model 'sometimes'/],
    [{ seeds: 0 }, /'seeds' must be a whole number/],
    [{ seeds: [1, 1001] }, /seed 1001 is in seeds and in tuneSeeds/],
    [{ lr: -1 }, /'lr' must be a number above 0/],
    [{ target: { loss: 1, accuracy: 1 } }, /'target' must be/],
    [{ target: { accuracy: 90 } }, /'target' must be/],
    [{ mode: 'imagined' }, /'mode' must be simulated or real/],
    [{ mode: 'real', delays: ['exponential'] }, /real runs take the delays constant and straggler/],
    [{ network: 'token-ring' }, /there is no network 'token-ring'/],
    [{ churn: { mtfb: 5 } }, /no key 'mtfb'; did you mean 'mtbf'/],
    [{ name: '../x' }, /'name' must be/]
  ]
  for (const [settings, message] of wrong) {
    t.throws(() => experimentOf({ strategies: ['allreduce', 'gossip'], ...settings }, 'x.yaml'), {
      name: 'InvalidParametersError',
      message
    })
  }
})

t.test('every preset is an experiment', async t => {
  for (const [name, { settings }] of Object.entries(presets)) {
    const e = experimentOf(settings, name)
    t.same(experimentOf(parseExperimentFile(stringify(e), name), name), e, `${name}: what a report spells out reads as the same experiment`)
  }
})

t.test('all strategies get equal runs, and each the rate that did best on tuning seeds', async t => {
  const e = experiment({ seeds: 3, delays: ['constant', 'straggler:5'], grid: [0.01, 0.1, 0.02], lr: 0.02 })
  const tuning = tuningRuns(e)
  t.equal(tuning.length, 2 * 3)
  t.ok(tuning.every(spec => spec.delay === 'constant' && spec.seed === 1001))
  const losses: Record<string, number> = { 'allreduce 0.1': 0.3, 'gossip 0.01': 0.2 }
  const results = tuning.map(spec => ({
    ...result({ losses: [losses[`${spec.strategy} ${spec.lr}`] ?? 0.9], spec }),
    // the best figure does not help a rate that diverged
    diverged: spec.strategy === 'gossip' && spec.lr === 0.01
  }))
  const rates = tunedRates(e, results)
  t.equal(rates.get('allreduce'), 0.1)
  t.equal(rates.get('gossip'), 0.02)
  t.equal(tunedRates(e, []).size, 0)
  const runs = reportedRuns(e, rates)
  t.equal(runs.length, 2 * 3 * 2 * 2)
  const same = runs.filter(r => r.strategy === 'gossip' && r.seed === 1 && r.delay === 'constant')
  t.equal(new Set(same.map(r => r.id)).size, 1, 'a given rate that is the tuned one is run once')
  t.equal(new Set(runs.map(r => r.id)).size, 2 * 3 * 3)
})
