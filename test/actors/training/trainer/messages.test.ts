import fc from 'fast-check'
import t from 'tap'
import { decodeMessage, encodeMessage, type TrainerMessage } from '../../../../actors/training/trainer/messages.ts'
import { InvalidParametersError, MalformedError } from '../../../../common/index.ts'
import { modelNamed, parseModelName } from '../../../../models/index.ts'

const number = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const body = fc.uint8Array({ maxLength: 50 })
const message: fc.Arbitrary<TrainerMessage> = fc.oneof(
  fc.record({ type: fc.constant('strategy' as const), generation: number, body }),
  fc.record({ type: fc.constant('state' as const), generation: number }),
  fc.record({ type: fc.constant('ledger' as const), body }),
  fc.record({ type: fc.constant('final' as const), round: number }),
  fc.record({ type: fc.constant('weight' as const), round: number, weight: fc.double({ min: 0, max: 1e6, noNaN: true }) })
)

t.test('every message survives the wire', async t => {
  fc.assert(fc.property(message, m => t.same(decodeMessage(encodeMessage(m)), m)))
})

t.test('bytes that are no message are refused, whatever they are', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), bytes => {
      try {
        decodeMessage(bytes)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
      }
    })
  )
})

t.test('a weight that no trainer can have is refused', async t => {
  for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e7]) {
    t.throws(() => decodeMessage(encodeMessage({ type: 'weight', round: 1, weight })), MalformedError)
  }
})

t.test('a model is named with options, and what makes no sense is refused by name', async t => {
  t.same(parseModelName('lenet'), { name: 'lenet' })
  t.same(parseModelName('mlp?hidden=8,4&activation=tanh'), { name: 'mlp', options: { activation: 'tanh', hidden: [8, 4] } })
  t.ok(modelNamed('mlp?hidden=8', { shape: [1, 2, 2], classes: 3 }))
  for (const name of [
    '',
    'resnet-9000',
    'lenet?x=1',
    'mlp?hidden=0',
    'mlp?hidden=a',
    'mlp?activation=gelu',
    'mlp?depth=3',
    'mlp?hidden=1e9'
  ]) {
    t.throws(() => parseModelName(name), InvalidParametersError, name)
  }
})
