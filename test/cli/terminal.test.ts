import t from 'tap'
import type { JobEvent } from '../../actors/training/service-types.ts'
import { bytes, count, cut, figure, percent, plain, table, time } from '../../cli/terminal/format.ts'
import { createView, observe, progressLine } from '../../cli/terminal/job-view.ts'
import { nodeLogger } from '../../cli/terminal/logger.ts'
import { Output, type OutputInit } from '../../cli/terminal/output.ts'
import { goodRun } from './fake-node.ts'
import { Page } from './world.ts'

t.test('figures for people', async t => {
  t.same([0, 999, 1000, 26_214_400, 9.99e11].map(bytes), ['0 B', '999 B', '1.0 kB', '26.2 MB', '999 GB'])
  t.same([-1, 12_400, 200_000, 7_500_000, 200_000_000].map(time), ['0 s', '12 s', '3 min 20 s', '2 h 05 min', '2 d 7 h'])
  t.same([0, 999.6, 1_234_567].map(count), ['0', '1,000', '1,234,567'])
  t.same([0, 0.25, 123.456, 1e-5, 1e6, Number.NaN].map(figure), ['0.000', '0.2500', '123.5', '1.00e-5', '1.00e+6', 'NaN'])
  t.equal(percent(0.97314), '97.31 %')
  t.equal(cut('abcdef', 4), 'abc…')
  t.same(table(['A', 'LONG', ''], [['xxx', '1', 'end']]), ['A    LONG', 'xxx  1     end'])
  t.equal(plain('a\u001b[31mb\u001b[0m\nc\u0007'), 'ab c ', 'what a peer wrote does not drive the terminal')
})

t.test('colours keep to NO_COLOR, FORCE_COLOR and the kind of terminal', async t => {
  const styled = (terminal: boolean, env: NodeJS.ProcessEnv, json = false) => {
    const stdout = new Page({ isTTY: terminal })
    return output({ stdout, env, json }).style('red', 'x') !== 'x'
  }
  t.equal(styled(true, {}), true)
  t.equal(styled(true, { NO_COLOR: '1' }), false)
  t.equal(styled(true, { NO_COLOR: '0' }), false, 'any value but the empty one')
  t.equal(styled(true, { NO_COLOR: '' }), true)
  t.equal(styled(true, { TERM: 'dumb' }), false)
  t.equal(styled(false, {}), false)
  t.equal(styled(false, { FORCE_COLOR: '1' }), true)
  t.equal(styled(true, {}, true), false, 'JSON has none')
})

t.test('a live line is for terminals that are no build log', async t => {
  const live = (isTTY: boolean, env: NodeJS.ProcessEnv, json = false) => output({ stdout: new Page({ isTTY }), env, json }).live
  t.equal(live(true, {}), true)
  t.equal(live(true, { CI: 'true' }), false)
  t.equal(live(true, { CI: 'false' }), true)
  t.equal(live(true, { TERM: 'dumb' }), false)
  t.equal(live(false, {}), false)
  t.equal(live(true, {}, true), false)
})

t.test('the live line is redrawn at most ten times a second, below what is printed, and fits the terminal', async t => {
  const stdout = new Page({ isTTY: true, columns: 10 })
  let now = 0
  const out = output({ stdout, now: () => now })
  out.setLive('step 1')
  now = 50
  out.setLive('step 2')
  t.equal(stdout.text, '\r\u001b[2Kstep 1')
  stdout.text = ''
  out.line('hello')
  t.equal(stdout.text, '\r\u001b[2Khello\n\r\u001b[2Kstep 2', 'a printed line goes above, and the newest state is drawn again')
  stdout.text = ''
  now = 200
  out.setLive('step 3 is long')
  t.equal(stdout.text, '\r\u001b[2Kstep 3 i…')
  stdout.text = ''
  out.endLive()
  out.endLive()
  t.equal(stdout.text, '\r\u001b[2Kstep 3 i…\n', 'it is left standing, once')
})

t.test('errors are one line, or one record', async t => {
  const stderr = new Page()
  output({ stderr }).error(new Error('first\nsecond'))
  t.equal(stderr.text, 'error: first second\n')
  const json = new Page()
  const out = output({ stderr: json, json: true })
  out.error(new Error('first'))
  out.warn('careful')
  t.same(json.records, [
    { type: 'error', name: 'GradmeshError', message: 'first', retryable: false },
    { type: 'warning', message: 'careful' }
  ])
  const debug = new Page()
  output({ stderr: debug, env: { GRADMESH_DEBUG: '1' } }).error(new Error('first'))
  t.match(debug.text, /error: first\nError: first\n +at /)
})

t.test("a node's log goes to stderr from its level upwards", async t => {
  const stderr = new Page()
  const log = nodeLogger(output({ stderr }), 'info').child('mesh').child('gate')
  log.debug('unseen')
  log.info('admitted', { peer: 'P', n: 2 })
  log.warn('odd')
  t.same(stderr.lines, ['mesh:gate admitted peer=P n=2', 'mesh:gate warn: odd'])
  const json = new Page()
  nodeLogger(output({ stderr: json, json: true }), 'warn').error('bad', { code: 7 })
  t.same(json.records, [{ type: 'log', level: 'error', component: '', message: 'bad', code: 7 }])
})

t.test("a job's events become lines, with progress every two seconds of the job's own time", async t => {
  const view = createView({ job: 'job-1', epochs: 1, epochSize: 1000 })
  const lines = goodRun().flatMap(event => observe(view, event))
  t.same(
    lines.map(line => `${line.live ? '!' : ' '} ${line.text}`).filter(text => !text.startsWith('! starting')),
    [
      '! generation 1: 2 trainers (first group)',
      '! running',
      '  epoch 1/1  step 1  loss 2.000  1,000 samples/s  1 s left  2 trainers  25 % in exchange',
      '  epoch 1/1  step 3  loss 0.8333  2,000 samples/s  0 s left  2 trainers  25 % in exchange',
      '  checkpoint 000004 at step 4',
      '! epoch 1: 1,000 samples committed',
      '! epoch 1, step 4: test accuracy 98.12 %, test loss 0.07000',
      '! done'
    ]
  )
  t.match(view, { state: 'done', accuracy: 0.9812, step: 4, epoch: 0, size: 2 })
})

t.test('the progress line says why a job does not move', async t => {
  const job = 'job-1'
  const view = createView({ job, epochs: 2, epochSize: 0, state: 'waiting' })
  const take = (event: JobEvent) => observe(view, event).map(line => line.text)
  t.equal(progressLine(view), 'waiting')
  take({ type: 'state', job, state: 'waiting', message: '1 of 2 trainers is missing' })
  t.equal(progressLine(view), 'waiting: 1 of 2 trainers is missing')
  t.same(take({ type: 'paused', job, missing: ['B'], message: 'node B is silent' }), ['paused: node B is silent'])
  t.equal(progressLine(view), 'paused: node B is silent')
  t.same(take({ type: 'resumed', job }), ['resumed'])
  t.equal(view.state, 'running')
  t.same(take({ type: 'log', level: 'info', message: 'chatter', node: 'n' }), [])
  t.same(take({ type: 'log', level: 'warn', message: 'slow disk', node: 'n' }), ['n: slow disk'])
  t.same(take({ type: 'epoch', job, epoch: 0, committed: 60_000, duplicated: 64 }), [
    'epoch 1: 60,000 samples committed, 64 of them trained twice'
  ])
})

t.test('a trainer that is not of the new generation is forgotten', async t => {
  const view = createView({ job: 'job-1', epochs: 1, epochSize: 1000 })
  for (const event of goodRun().slice(0, 6)) observe(view, event)
  t.equal(view.trainers.size, 2)
  observe(view, { type: 'generation', job: 'job-1', generation: 2, members: ['t1'], reason: 't0 died' })
  t.same([...view.trainers.keys()], ['t1'])
  t.match(progressLine(view), /1 trainer /)
})

function output(init: Partial<OutputInit>): Output {
  return new Output({ stdout: new Page(), stderr: new Page(), env: {}, json: false, now: () => 0, ...init })
}
