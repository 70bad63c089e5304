import fc from 'fast-check'
import t from 'tap'
import { createMailbox, MAX_REPLIES, MAX_REPLY_BYTES, type MailboxEvent, mailboxStep } from '../../../actors/runtime/mailbox-core.ts'

t.test('whatever arrives, finishes and is cancelled: turns are in order of arrival and never more at once than allowed', async t => {
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.constant('arrived' as const) },
    { weight: 4, arbitrary: fc.constant('finished' as const) },
    { weight: 1, arbitrary: fc.constant('cancelled' as const) }
  )
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 200 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 3 }),
      (events, limit, turns) => {
        const s = createMailbox(limit, turns)
        const running: number[] = []
        const order: number[] = []
        let sequence = 0
        for (const type of events) {
          const id = type === 'arrived' ? ++sequence : type === 'finished' ? running.shift() : s.waiting[0]
          if (id === undefined) continue
          for (const effect of mailboxStep(s, { type, id } as MailboxEvent)) {
            if (effect.type === 'turn') {
              running.push(effect.id)
              order.push(effect.id)
            } else if (effect.type !== 'refuse' || effect.reason !== 'overloaded' || s.waiting.length < limit)
              t.fail('refused without need')
          }
          if (running.length > turns || s.waiting.length > limit) t.fail('more at once than allowed')
          if (running.length < turns && s.waiting.length > 0) t.fail('a message waits though a turn is free')
        }
        if (order.some((id, i) => i > 0 && id < order[i - 1]!)) t.fail('a later message had its turn first')
      }
    )
  )
  t.pass()
})

t.test('a closed mailbox refuses what waits and what comes', async t => {
  const s = createMailbox(4)
  mailboxStep(s, { type: 'arrived', id: 1 })
  mailboxStep(s, { type: 'arrived', id: 2 })
  t.same(mailboxStep(s, { type: 'closed' }), [{ type: 'refuse', id: 2, reason: 'closed' }])
  t.same(mailboxStep(s, { type: 'arrived', id: 3 }), [{ type: 'refuse', id: 3, reason: 'closed' }])
  t.same(mailboxStep(s, { type: 'finished', id: 1 }), [])
})

t.test('a request that comes twice has one turn; its reply is kept until there is no room', async t => {
  const s = createMailbox(4)
  const numbered = (sequence: number, again = false) => ({ caller: 'c', sequence, request: `c#${sequence}`, again })
  t.same(mailboxStep(s, { type: 'arrived', id: 1, numbered: numbered(1) }), [{ type: 'turn', id: 1 }])
  t.same(mailboxStep(s, { type: 'arrived', id: 2, numbered: numbered(1, true) }), [{ type: 'same', id: 2, first: 1 }], 'while it runs')
  mailboxStep(s, { type: 'finished', id: 1 })
  t.same(mailboxStep(s, { type: 'arrived', id: 3, numbered: numbered(1, true) }), [{ type: 'same', id: 3, first: 1 }], 'and after')
  let forgotten = 0
  for (let i = 0; i < MAX_REPLIES; i++) {
    mailboxStep(s, { type: 'arrived', id: 10 + i, numbered: numbered(2 + i) })
    for (const effect of mailboxStep(s, { type: 'finished', id: 10 + i })) if (effect.type === 'forget') forgotten = effect.id
  }
  t.equal(forgotten, 1, 'the oldest reply goes first')
  const refused = (id: number, n: ReturnType<typeof numbered>) => mailboxStep(s, { type: 'arrived', id, numbered: n })
  t.same(refused(5, numbered(1, true)), [{ type: 'refuse', id: 5, reason: 'forgotten' }], 'and is never executed again')
  t.same(refused(6, numbered(1)), [{ type: 'refuse', id: 6, reason: 'overtaken' }])
  t.same(
    refused(7, { ...numbered(1, true), caller: 'd', request: 'd#1' }),
    [{ type: 'refuse', id: 7, reason: 'forgotten' }],
    'who is unknown cannot say that it was here'
  )
})

t.test('replies are forgotten for their size, too', async t => {
  const s = createMailbox(4)
  const forgotten: number[] = []
  for (let id = 1; id <= 3; id++) {
    mailboxStep(s, { type: 'arrived', id, numbered: { caller: 'c', sequence: id, request: `c#${id}`, again: false } })
    for (const e of mailboxStep(s, { type: 'finished', id, bytes: MAX_REPLY_BYTES * 0.6 })) if (e.type === 'forget') forgotten.push(e.id)
  }
  t.same(forgotten, [1, 2])
})
