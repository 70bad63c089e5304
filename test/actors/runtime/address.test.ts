import fc from 'fast-check'
import t from 'tap'
import { address, formatAddress, parseAddress } from '../../../actors/runtime/index.ts'
import { InvalidParametersError } from '../../../common/index.ts'

t.test('an address survives being written and read, whatever its key', async t => {
  const key = fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme' }).filter(k => !/[\p{Cc}]/u.test(k))
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z][a-z0-9-]{0,63}$/), key, (actor, key) => {
      const a = address(actor, key)
      t.same(parseAddress(formatAddress(a)), a)
    })
  )
})

t.test('names and keys that could not be found again are refused with one line', async t => {
  for (const [actor, key] of [
    ['', 'k'],
    ['A', 'k'],
    ['a b', 'k'],
    ['a', ''],
    ['a', 'x'.repeat(257)],
    ['a', 'new\nline'],
    ['x'.repeat(65), 'k']
  ]) {
    t.throws(() => address(actor!, key!), InvalidParametersError)
  }
  t.throws(() => parseAddress('no-slash'), InvalidParametersError)
})
