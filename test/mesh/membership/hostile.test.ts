import fc from 'fast-check'
import t from 'tap'
import { createRng } from '../../../common/index.ts'
import { membershipStep } from '../../../mesh/membership/core.ts'
import { MAX_EPOCH, MAX_INCARNATION, type MemberRecord } from '../../../mesh/membership/record.ts'
import { resolveSettings } from '../../../mesh/membership/settings.ts'
import { createMembershipState, isLive, lifeHash, type MembershipEvent, type MembershipState } from '../../../mesh/membership/state.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
t.comment('seed', seed)

const peer = fc.constantFrom('self', 'a', 'b', 'c', 'd', 'e')
const number = (max: number) => fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(max - 1, max))
const life = { epoch: number(MAX_EPOCH), incarnation: number(MAX_INCARNATION) }
const record: fc.Arbitrary<MemberRecord> = fc.record({
  peer,
  ...life,
  state: fc.constantFrom('alive', 'suspect', 'dead', 'left'),
  addresses: fc.constantFrom([], ['/memory/x']),
  version: fc.constant(new Uint8Array(0)),
  by: fc.oneof(fc.constant(''), peer),
  proof: fc.constant(new Uint8Array(0))
})
const probe = fc.integer({ min: 0, max: 6 })
const head = { ...life, records: fc.array(record, { maxLength: 4 }) }
const message = fc.oneof(
  fc.record({ kind: fc.constantFrom('ping' as const), probe, ...head }),
  fc.record({ kind: fc.constantFrom('ack' as const, 'ask' as const, 'nack' as const), probe, target: peer, ...head }),
  fc.record({ kind: fc.constant('news' as const), ...head }),
  fc.record({ kind: fc.constant('digest' as const), digest: fc.integer({ min: 0, max: 2 ** 32 - 1 }), ...head }),
  fc.record({ kind: fc.constant('state' as const), reply: fc.boolean(), ...head })
)
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('message' as const), from: peer, message }) as fc.Arbitrary<MembershipEvent> },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('pass' as const), time: fc.constantFrom(10, 100, 700, 3000, 60_000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('hint' as const), peer }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('join' as const), peers: fc.array(peer, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'addresses' as const, addresses: ['/memory/self'] }) }
)

/** Throws when the parts of the state contradict each other. */
function check(s: MembershipState): void {
  const members = [...s.members.values()]
  const live = members.filter(m => isLive(m.state))
  const names = (kept: MemberRecord[]) => kept.map(m => m.peer).sort()
  const same = (a: unknown, b: unknown, what: string) => {
    if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${what}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`)
  }
  same(s.liveCount, live.length, 'live count')
  same([...s.suspects].sort(), names(members.filter(m => m.suspicion !== undefined)), 'suspicions')
  same(names(members.filter(m => m.state === 'suspect')), [...s.suspects].sort(), 'suspects')
  same([...s.dead].sort(), names(members.filter(m => m.state === 'dead')), 'dead')
  same(
    s.digest,
    [s.self, ...live].reduce((sum, m) => (sum + lifeHash(m)) >>> 0, 0),
    'digest'
  )
  same([...s.probes.values()].map(p => p.peer).sort(), [...s.probing.keys()].sort(), 'probes')
  for (const m of live) if (!s.order.includes(m.peer)) throw new Error(`${m.peer} is never probed`)
  if (s.members.has('self')) throw new Error('it is a member of its own view')
  if (s.self.state !== 'alive') throw new Error('it holds itself for gone')
  if (s.self.incarnation > MAX_INCARNATION || s.self.epoch > MAX_EPOCH) throw new Error('its life cannot be sent')
  if (s.asked.size > 256 || s.joining.size > 256) throw new Error('it grows with what it is sent')
}

t.test('whatever members say, the state stays in order, and only the own timer is set', async t => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 10, maxLength: 60 }), events => {
      const state = createMembershipState({ self: 'self', epoch: 2, settings: resolveSettings() })
      const random = createRng(1)
      let now = 0
      let wake = Number.POSITIVE_INFINITY
      const step = (next: MembershipEvent) => {
        for (const effect of membershipStep(state, next, { now, random })) {
          if (effect.type === 'setTimer') {
            if (effect.id !== 'wake' || !(effect.delay >= 1 && effect.delay <= 10_000)) throw new Error(`timer ${JSON.stringify(effect)}`)
            wake = now + effect.delay
          }
          if (effect.type === 'send' && effect.to === 'self') throw new Error('it speaks to itself')
        }
        check(state)
      }
      step({ type: 'start' })
      for (const next of events) {
        if (next.type === 'pass') {
          // half of the time asleep, half awake
          const end = now + next.time
          now += next.time / 2
          while (wake <= end) {
            now = Math.max(now, wake)
            step({ type: 'timer', id: 'wake' })
          }
          now = end
        } else step(next as MembershipEvent)
      }
      return true
    }),
    { seed, numRuns: 400 }
  )
  t.pass()
})
