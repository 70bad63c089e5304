import fc from 'fast-check'
import t from 'tap'
import { createMailbox, type MailboxEvent, mailboxStep } from '../../../actors/runtime/mailbox-core.ts'

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
        const running: string[] = []
        const order: number[] = []
        let sequence = 0
        for (const type of events) {
          const id = type === 'arrived' ? String(++sequence) : type === 'finished' ? running.shift() : s.waiting[0]
          if (id === undefined) continue
          for (const effect of mailboxStep(s, { type, id } as MailboxEvent)) {
            if (effect.type === 'turn') {
              running.push(effect.id)
              order.push(Number(effect.id))
            } else if (effect.reason !== 'overloaded' || s.waiting.length < limit) t.fail('refused without need')
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
  mailboxStep(s, { type: 'arrived', id: '1' })
  mailboxStep(s, { type: 'arrived', id: '2' })
  t.same(mailboxStep(s, { type: 'closed' }), [{ type: 'refuse', id: '2', reason: 'closed' }])
  t.same(mailboxStep(s, { type: 'arrived', id: '3' }), [{ type: 'refuse', id: '3', reason: 'closed' }])
  t.same(mailboxStep(s, { type: 'finished', id: '1' }), [])
})
