import t from 'tap'
import { createDelays } from '../../../../actors/training/simulation/delays.ts'
import {
  delayText,
  parseChurnTrace,
  parseDelay,
  parseDelayTrace,
  parseNetwork,
  readChurnTrace,
  readDelayTrace
} from '../../../../actors/training/simulation/index.ts'
import { createRng } from '../../../../common/index.ts'

t.test('a delay trace is refused by line or by what is missing', async t => {
  const { times } = parseDelayTrace('trainer,step,ms\n0,0,5\n0,1,6\n1,1,8\n1,0,7\n', 'x.csv')
  t.same(
    times.map(row => [...row]),
    [
      [5, 6],
      [7, 8]
    ]
  )
  const refused: [string, RegExp][] = [
    ['trainer,step,ms\n0,0,5\n0,2,6\n', /^x\.csv: a gap: trainer 0 has no time for step 1$/],
    ['trainer,step,ms\n0,0,5\n2,0,6\n', /^x\.csv: trainer 1 is missing/],
    ['trainer,step,ms\n0,0,5\n0,1,-3\n', /^x\.csv, line 3: trainer 0 takes -3 ms for step 1; times cannot be negative$/],
    ['trainer,step,ms\n0,0,5\n0,0,6\n', /^x\.csv, line 3: step 0 of trainer 0 stands there twice$/],
    ['trainer,step,ms\n0,0,\n', /^x\.csv, line 2: .* is not trainer,step,ms$/],
    ['trainer,step,ms\n0,0,fast\n', /^x\.csv, line 2/],
    ['a,b,c\n', /^x\.csv, line 1: the header/],
    ['trainer,step,ms\n', /^x\.csv: there is no time in it$/]
  ]
  for (const [text, message] of refused) t.throws(() => parseDelayTrace(text, 'x.csv'), { name: 'MalformedError', message })
  await t.rejects(readDelayTrace('no-such-file.csv'), { name: 'InvalidParametersError', message: /no-such-file\.csv cannot be read/ })
})

t.test('a churn trace is refused by line', async t => {
  t.same(parseChurnTrace('ms,event,slot\n10,kill,1\n20,join,1\n', 'c.csv'), [
    { time: 10, event: 'kill', slot: 1 },
    { time: 20, event: 'join', slot: 1 }
  ])
  t.throws(() => parseChurnTrace('ms,event,slot\n10,kill,1\n5,join,1\n', 'c.csv'), { message: /^c\.csv, line 3: 5 ms lies before 10 ms/ })
  t.throws(() => parseChurnTrace('ms,event,slot\n-1,kill,1\n', 'c.csv'), { message: /^c\.csv, line 2/ })
  t.throws(() => parseChurnTrace('ms,event,slot\n1,explode,1\n', 'c.csv'), { message: /^c\.csv, line 2/ })
  await t.rejects(readChurnTrace('no-such-file.csv'), { name: 'InvalidParametersError' })
})

t.test('delay models and networks by name', async t => {
  for (const text of ['constant', 'lognormal:0.7', 'exponential', 'straggler:5', 'straggler:3,2', 'bursts:4,1000,200', 'trace:a.csv']) {
    t.equal(delayText(parseDelay(text)), text)
  }
  for (const text of ['', 'stragler:5', 'straggler:0', 'straggler:5,1.5', 'constant:1', 'bursts:1,2,3,4', 'trace:', 'lognormal:x']) {
    t.throws(() => parseDelay(text), { name: 'InvalidParametersError', message: /straggler\[:FACTOR/ })
  }
  t.equal(parseNetwork('ib').gbps, 100)
  t.same(parseNetwork('20-60ms/0.1gbps').latency, [20, 60])
  for (const text of ['', 'token-ring', '5ms', '5-2ms/1gbps', '1ms/0gbps']) {
    t.throws(() => parseNetwork(text), { name: 'InvalidParametersError', message: /10gbe/ })
  }
})

t.test('delay models have the means and shapes they say', async t => {
  const seed = 11
  t.comment('seed', seed)
  const n = 20_000
  const mean = (text: string, slot = 3) => {
    const delays = createDelays(parseDelay(text), slot, createRng(`${seed}/${text}`))
    let sum = 0
    let now = 0
    for (let i = 0; i < n; i++) {
      const ms = delays.next(now, 10)
      now += ms
      sum += ms
    }
    return sum / n
  }
  t.equal(mean('constant'), 10)
  t.ok(Math.abs(mean('lognormal:0.5') - 10) < 0.2)
  t.ok(Math.abs(mean('exponential') - 10) < 0.3)
  t.equal(mean('straggler:5', 0), 50)
  t.equal(mean('straggler:5', 1), 10)
  t.equal(mean('straggler:5,2', 1), 50)
  // slow a fifth of the time, in which steps are five times as long: of the steps a 21st is slow
  const bursts = mean('bursts:5,800,200')
  t.ok(bursts > 11 && bursts < 13.5, `${bursts}`)
})
