import fc from 'fast-check'
import t from 'tap'
import { GradmeshError, InvalidParametersError } from '../../common/index.ts'
import { datasetNames, openDataset } from '../../datasets/index.ts'
import { formatUri, parseUri, type UriForm } from '../../datasets/uri.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)
t.comment('seed', seed)

const forms = new Map<string, UriForm>([
  ['drawn', { parameters: { train: { min: 1, max: 100 }, test: { min: 0, max: 9 } } }],
  ['folder', { path: 'DIR', parameters: { classes: { min: 1, max: 256 } } }]
])

t.test('a URI is taken apart and put together again', async t => {
  t.strictSame(parseUri('drawn', forms), { name: 'drawn', path: undefined, parameters: new Map() })
  t.strictSame(parseUri('drawn?test=3&train=7', forms).parameters, new Map(Object.entries({ test: 3, train: 7 })))
  t.strictSame(parseUri('folder:/a b/c:d', forms).path, '/a b/c:d', 'a path may hold colons and spaces')
  t.strictSame(parseUri('folder:x?classes=26', forms), { name: 'folder', path: 'x', parameters: new Map([['classes', 26]]) })
  fc.assert(
    fc.property(fc.stringMatching(/^[^?\0]{1,40}$/), fc.integer({ min: 1, max: 256 }), (path, classes) => {
      const uri = { name: 'folder', path, parameters: new Map([['classes', classes]]) }
      t.strictSame(parseUri(formatUri(uri), forms), uri)
    }),
    { seed, numRuns: 50 }
  )
})

t.test('a wrong URI gets one line that says what would be right', async t => {
  const cases: [string, RegExp][] = [
    ['nothing', /there is no data set 'nothing'; choose one of drawn, folder:DIR/],
    ['', /there is no data set/],
    ['__proto__', /there is no data set/],
    ['drawn?size=3', /unknown parameter 'size'.*known are train, test/],
    ['drawn?toString=3', /unknown parameter/],
    ['drawn?train=0', /'train'.*integer from 1 to 100/],
    ['drawn?train=101', /'train'.*integer from 1 to 100/],
    ['drawn?train=-5', /'train'/],
    ['drawn?train=1e1', /'train'/],
    ['drawn?train=', /'train'/],
    ['drawn?train', /'train'/],
    ['drawn?', /unknown parameter/],
    ['drawn?train=1&train=2', /'train' is given twice/],
    ['drawn:/tmp', /'drawn' takes no folder/],
    ['folder', /lacks the folder: write folder:DIR/],
    ['folder:', /lacks the folder/],
    ['folder:a\0b', /null character/],
    ['x'.repeat(5000), /at most 4096 characters/]
  ]
  for (const [uri, message] of cases) {
    t.throws(() => parseUri(uri, forms), InvalidParametersError, uri.slice(0, 50))
    t.throws(() => parseUri(uri, forms), { message }, uri.slice(0, 50))
  }
})

t.test('any text opens a data set or throws an error of the closed set with one line', async t => {
  const names = datasetNames
    .map(name => name.split(':')[0]!)
    .filter(name => name !== 'digits' && name !== 'shapes32' && name !== 'fashion-mnist')
  const text = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom(...names), fc.string()).map(([name, rest]) => `${name}:no such folder${rest}`)
  )
  await fc.assert(
    fc.asyncProperty(text, async uri => {
      const error = await openDataset(uri, { dataRoots: [] }).then(
        () => undefined,
        error => error
      )
      t.ok(error instanceof GradmeshError, uri)
      t.notMatch(error.message, /\n/)
    }),
    { seed, numRuns: 200 }
  )
})
