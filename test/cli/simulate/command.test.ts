import t from 'tap'
import { TestWorld } from '../world.ts'

async function runMesh(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const world = new TestWorld()
  try {
    const code = await world.mesh(...args)
    return { code, stdout: world.stdout.text, stderr: world.stderr.text }
  } finally {
    await world.close()
  }
}

t.test('mesh simulate prints a table and what it takes for granted', async t => {
  const { code, stdout } = await runMesh([
    'simulate',
    '--model',
    'lenet',
    '--trainers',
    '2..8',
    '--network',
    'ib,10gbe',
    '--strategy',
    'gossip'
  ])
  t.equal(code, 0)
  t.match(stdout, /strategy +network +trainers +samples\/s/)
  t.equal(stdout.split('\n').filter(line => line.startsWith('gossip ')).length, 2 * 3)
  t.match(stdout, /Assumptions\n- lenet: 431,080 float32 parameters/)
})

t.test('wrong use is one line and exit 2', async t => {
  const wrong: [string[], RegExp][] = [
    [['--strategy', 'gosip', '--model', 'lenet'], /no exchange strategy is called 'gosip'/],
    [['--strategy', 'local-sgd:g=8', '--model', 'lenet'], /strategy 'local-sgd' has no option 'g'/],
    [[], /--model is missing/],
    [['--model', 'lenett'], /planning knows no model 'lenett'/],
    [['--model', 'lenet', '--trainers', '8..4'], /--trainers takes numbers and ranges/],
    [['--model', 'lenet', '--trainers', '8..100000'], /--trainers takes numbers and ranges from 1 to 4096/],
    [['--model', 'lenet', '--network', 'token-ring'], /there is no network 'token-ring'/],
    [['--model', 'lenet', '--delay', 'sometimes'], /there is no delay model 'sometimes'/],
    [['--model', 'lenet', '--delay', 'trace:no-such.csv'], /no-such\.csv cannot be read/],
    [['--model', 'lenet', '--plot', 'x.pdf'], /--plot takes a file that ends in \.svg or \.png/]
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = await runMesh(['simulate', ...args])
    t.equal(code, 2, args.join(' '))
    t.match(stderr, message)
    t.equal(stderr.trimEnd().split('\n').length, 1)
  }
})

t.test('mesh compare refuses in one line what it cannot run', async t => {
  const wrong: [string[], RegExp][] = [
    [['--preset', 'stragler'], /there is no preset 'stragler'; choose one of straggler/],
    [[], /say what to compare/],
    [['--strategy', 'gosip'], /no exchange strategy is called 'gosip'; choose one of allreduce/],
    [['no-such.yaml'], /no-such\.yaml cannot be read/],
    [['x.yaml', '--preset', 'straggler'], /not both/]
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = await runMesh(['compare', ...args])
    t.equal(code, 2, args.join(' '))
    t.match(stderr, message)
    t.equal(stderr.trimEnd().split('\n').length, 1)
  }
  t.match((await runMesh(['compare', '--list'])).stdout, /^straggler /m)
})
