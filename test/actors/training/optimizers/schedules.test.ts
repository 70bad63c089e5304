import t from 'tap'
import { parseSchedule, rateAt, schedulePolicies } from '../../../../actors/training/optimizers/index.ts'

const rates = (spec: unknown, steps: number[], base = 1) => steps.map(i => rateAt(parseSchedule(spec), base, i))

t.test('every policy gives the values of its formula', async t => {
  t.same(rates(undefined, [0, 9], 0.01), [0.01, 0.01])
  t.same(rates({ policy: 'fixed' }, [0, 1e6], 0.5), [0.5, 0.5])
  t.same(rates({ policy: 'step', gamma: 0.5, stepSize: 10 }, [0, 9, 10, 19, 20], 8), [8, 8, 4, 4, 2])
  t.same(rates({ policy: 'multistep', gamma: 0.5, stepValues: [3, 10] }, [0, 2, 3, 9, 10, 99], 8), [8, 8, 4, 4, 2, 2])
  t.same(rates({ policy: 'exp', gamma: 0.5 }, [0, 1, 3]), [1, 0.5, 0.125])
  t.same(rates({ policy: 'inv', gamma: 1, power: 2 }, [0, 1, 3]), [1, 0.25, 1 / 16])
  t.same(rates({ policy: 'poly', power: 2, maxSteps: 10 }, [0, 5, 10, 11]), [1, 0.25, 0, 0])
  t.same(rates({ policy: 'sigmoid', gamma: -1, stepSize: 5 }, [5], 2), [1])
  t.ok(rates({ policy: 'sigmoid', gamma: -1, stepSize: 5 }, [0])[0] > 0.99)
  const cosine = rates({ policy: 'cosine', maxSteps: 10, min: 0.5 }, [0, 5, 10, 20], 2)
  for (const [i, expected] of [2, 1.5, 1, 1].entries()) t.ok(Math.abs(cosine[i] - expected) < 1e-15)
  t.same(rates({ policy: 'fixed', warmUp: { steps: 4 } }, [0, 1, 4, 5]), [0, 0.25, 1, 1])
  t.same(rates({ policy: 'step', gamma: 0.5, stepSize: 2, warmUp: { steps: 4, from: 0.5 } }, [0, 2, 4]), [0.5, 0.375, 0.25])
})

t.test('wrong schedules are refused by name', async t => {
  const cases: [unknown, RegExp][] = [
    ['step', /schedule/],
    [null, /schedule/],
    [{}, /policy/],
    [{ policy: 'staircase' }, new RegExp(`staircase.*${schedulePolicies.join(', ')}`)],
    [{ policy: 'toString' }, /toString/],
    [{ policy: 'step', gamma: 0.5 }, /stepSize/],
    [{ policy: 'step', gamma: 0, stepSize: 3 }, /gamma/],
    [{ policy: 'step', gamma: 0.1, stepSize: 3, power: 1 }, /power.*gamma, stepSize/],
    [{ policy: 'multistep', gamma: 0.1, stepValues: [3, 3] }, /stepValues/],
    [{ policy: 'cosine', maxSteps: 10, min: 2 }, /min/],
    [{ policy: 'fixed', warmUp: 3 }, /warmUp/],
    [{ policy: 'fixed', warmUp: null }, /warmUp/]
  ]
  for (const [spec, message] of cases) t.throws(() => parseSchedule(spec), { name: 'InvalidParametersError', message })
})
