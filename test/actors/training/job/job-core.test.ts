import t from 'tap'
import {
  createJob,
  ENROLMENT_TTL,
  type JobEffect,
  type JobEvent,
  type JobState,
  jobStep,
  type Slot
} from '../../../../actors/training/job/job-core.ts'
import type { GroupRecord } from '../../../../actors/training/job/records.ts'
import type { JobSpec } from '../../../../actors/training/service-types.ts'
import { createRng } from '../../../../common/index.ts'
import { jobOf, memberOn } from './jobs.ts'

const random = createRng(1)
const begin = { step: 0, epoch: 0, position: 0 }

/** A job in a world of nodes with one device each. */
class World {
  now = 0
  readonly state: JobState
  nodes: string[]
  readonly effects: JobEffect[] = []

  constructor(nodes: string[], spec: Partial<JobSpec> = {}, synchronous = true) {
    this.nodes = nodes
    this.state = createJob(jobOf(spec), synchronous, false, { now: 0, random })
    this.view()
  }

  step(event: JobEvent): JobEffect[] {
    const effects = jobStep(this.state, event, { now: this.now, random })
    this.effects.push(...effects)
    return effects
  }

  view(free: (node: string) => boolean = () => true): JobEffect[] {
    const slots: Slot[] = this.nodes.map(node => ({ node, device: 'cpu:0', free: free(node) }))
    return this.step({ type: 'view', alive: this.nodes, slots })
  }

  enrol(node: string, options: { suffix?: string; generation?: number; ready?: boolean; step?: number } = {}): JobEffect[] {
    return this.step({
      type: 'enrolled',
      member: memberOn(node, options.suffix),
      generation: options.generation ?? 0,
      progress: { ...begin, step: options.step ?? 0 },
      ready: options.ready ?? true
    })
  }

  /** Time passes; those that enrolled do so again. */
  pass(ms: number, nodes = this.nodes): JobEffect[] {
    const effects: JobEffect[] = []
    for (const end = this.now + ms; this.now < end; this.now += 100) {
      for (const node of nodes) {
        const known = this.state.trainers.get(`t-${node}`)
        if (known !== undefined) effects.push(...this.enrol(node, { generation: known.generation }))
      }
      effects.push(...this.step({ type: 'tick' }))
    }
    return effects
  }

  decide(effect: JobEffect | undefined): void {
    if (effect?.type !== 'propose') throw new Error(`expected a proposal, got ${JSON.stringify(effect)}`)
    const group: GroupRecord = {
      job: 'j1',
      generation: effect.generation,
      members: effect.members,
      voters: effect.members.map(m => m.node),
      algorithm: 'allreduce',
      founders: effect.members.length,
      resume: { ...begin, hash: '', from: [] },
      forced: false,
      reason: effect.reason
    }
    this.step({ type: 'decided', group })
  }
}

const proposals = (effects: JobEffect[]) => effects.filter(e => e.type === 'propose')

/** Brings a job with one trainer a node to its first generation. */
function running(nodes: string[], spec: Partial<JobSpec> = {}): World {
  const world = new World(nodes, spec)
  world.pass(2000)
  for (const node of nodes) world.enrol(node)
  world.view(() => false)
  world.decide(proposals(world.pass(1000))[0])
  return world
}

t.test('a fresh activation listens first, then asks for a trainer on every free slot, once', async t => {
  const world = new World(['a', 'b', 'c'])
  t.same(world.pass(1400), [], 'nothing is started while running trainers may still report')
  const started = world.pass(300).filter(e => e.type === 'start')
  t.same(started.map(e => e.type === 'start' && e.slot).sort(), ['a/cpu:0', 'b/cpu:0', 'c/cpu:0'])
  t.same(
    world.pass(2000).filter(e => e.type === 'start'),
    []
  )
})

t.test('the first generation waits for all, and names all', async t => {
  const world = new World(['a', 'b'])
  world.pass(2000)
  world.enrol('a')
  t.same(proposals(world.pass(1000)), [])
  world.enrol('b')
  const [proposal] = proposals(world.pass(1000))
  t.match(proposal, { generation: 1, voters: ['a', 'b', 'c'], reason: 'start' })
  t.same(proposal?.type === 'propose' && proposal.members.map(m => m.trainer), ['t-a', 't-b'])
})

t.test('a job of two on a mesh of three asks for two, and takes another slot when an owner refuses', async t => {
  const world = new World(['a', 'b', 'c'], { trainers: 2 })
  const started = world.pass(2000).filter(e => e.type === 'start')
  t.equal(started.length, 2)
  const first = started[0]!
  const asked = new Set(started.map(e => e.type === 'start' && e.slot))
  world.step({ type: 'refused', slot: first.type === 'start' ? first.slot : '', reason: 'taken', unfit: false })
  const next = world.pass(200).filter(e => e.type === 'start')
  t.equal(next.length, 1)
  t.notOk(asked.has(next[0]?.type === 'start' && next[0].slot))
})

t.test('a death leads to a generation without the dead, at once', async t => {
  const world = running(['a', 'b', 'c'])
  const [proposal] = proposals(world.step({ type: 'gone', trainer: 't-b' }))
  t.match(proposal, { generation: 2, reason: 'lost 1' })
  t.same(proposal?.type === 'propose' && proposal.members.map(m => m.node), ['a', 'c'])
  t.same(proposals(world.pass(1000)), [], 'one proposal at a time')
})

t.test('a node that is declared dead, and a trainer that falls silent, are lost alike', async t => {
  const dead = running(['a', 'b', 'c'])
  dead.nodes = ['a', 'b']
  t.match(proposals(dead.view(() => false)), [{ generation: 2, reason: 'lost 1' }])
  const silent = running(['a', 'b', 'c'])
  t.match(proposals(silent.pass(ENROLMENT_TTL + 500, ['a', 'b'])), [{ generation: 2, reason: 'lost 1' }])
})

t.test('newcomers are gathered into one generation', async t => {
  const world = running(['a', 'b'])
  world.nodes = ['a', 'b', 'c', 'd']
  world.view(node => node === 'c' || node === 'd')
  t.equal(world.effects.filter(e => e.type === 'start' && (e.node === 'c' || e.node === 'd')).length, 2)
  world.enrol('c')
  world.now += 100
  world.enrol('d')
  const [proposal] = proposals(world.pass(1000))
  t.match(proposal, { generation: 2, reason: 'joined 2' })
  t.equal(proposal?.type === 'propose' && proposal.members.length, 4)
})

t.test('a restarted process replaces its predecessor in the group', async t => {
  const world = running(['a', 'b'])
  world.step({ type: 'gone', trainer: 't-b' })
  world.decide(proposals(world.effects).at(-1))
  world.enrol('b', { suffix: '-2' })
  world.now += 400
  world.enrol('b', { suffix: '-2' })
  world.enrol('a')
  const [proposal] = proposals(world.pass(300, ['a']))
  t.same(proposal?.type === 'propose' && proposal.members.map(m => m.trainer).sort(), ['t-a', 't-b-2'])
})

t.test('without a majority the job pauses with a line that says so, tries again, and goes on', async t => {
  const world = running(['a', 'b'])
  world.step({ type: 'gone', trainer: 't-b' })
  const paused = world.step({ type: 'undecided', missing: ['b'], message: 'paused: b is missing' })
  t.match(paused, [{ type: 'phase', phase: 'paused', message: /b is missing/, missing: ['b'] }])
  t.same(world.step({ type: 'undecided', missing: ['b'], message: 'paused: b is missing' }), [], 'said once')
  const [again] = proposals(world.pass(1500, ['a']))
  t.match(again, { generation: 2 })
  world.decide(again)
  t.equal(world.state.phase, 'running')
})

t.test('a broken channel leads to a generation with the same members; an old complaint does not', async t => {
  const world = running(['a', 'b'])
  t.same(proposals(world.step({ type: 'complained', generation: 7 })), [])
  t.same(proposals(world.step({ type: 'complained', generation: 1 })), [], 'the other end may have died: that would be known soon')
  t.match(proposals(world.pass(2500)), [{ generation: 2, reason: 'a channel broke' }])
  const died = running(['a', 'b'])
  died.step({ type: 'complained', generation: 1 })
  t.match(proposals(died.step({ type: 'gone', trainer: 't-b' })), [{ generation: 2, reason: 'lost 1' }], 'one generation, not two')
})

t.test('an activation elsewhere that has read the group proposes nothing while all live', async t => {
  const old = running(['a', 'b', 'c'])
  const world = new World(['a', 'b', 'c'])
  world.step({ type: 'learned', group: old.state.group! })
  for (const node of ['a', 'b', 'c']) world.enrol(node, { generation: 1 })
  t.same(proposals(world.pass(3000)), [])
  t.equal(world.state.group?.generation, 1)
  t.same(
    world.effects.filter(e => e.type === 'start'),
    []
  )
})

t.test('a job whose data is on no node fails with the reason instead of waiting for ever', async t => {
  const world = new World(['a'])
  world.pass(2000)
  world.view(() => false)
  t.match(world.step({ type: 'refused', slot: 'a/cpu:0', reason: 'no such folder', unfit: true }), [
    { type: 'fail', message: 'no such folder' }
  ])
})

t.test('an asynchronous job begins once its founders are there; those that come later join', async t => {
  const world = new World(['a', 'b'], { strategy: 'gossip' }, false)
  world.pass(2000)
  world.enrol('a')
  world.enrol('b')
  world.pass(1000)
  t.same(world.state.initial, ['t-a', 't-b'])
  t.same(proposals(world.effects), [], 'no agreement is needed')
  const elsewhere = new World(['a', 'b', 'c'], { strategy: 'gossip' }, false)
  elsewhere.enrol('a', { generation: 1 })
  elsewhere.enrol('c')
  elsewhere.pass(2000)
  t.same(elsewhere.state.initial, [], 'begun by an earlier activation: nobody is a founder any more')
  elsewhere.step({ type: 'gone', trainer: 't-a' })
  elsewhere.step({ type: 'gone', trainer: 't-c' })
  elsewhere.nodes = ['b']
  elsewhere.view()
  elsewhere.enrol('b')
  elsewhere.pass(3000)
  t.same(elsewhere.state.initial, ['t-b'], 'when all that held a state are gone, those that live begin anew')
})
