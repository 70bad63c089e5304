// starts processes
import t from 'tap'
import { Cluster, ended, until } from './cluster.ts'

t.test('killing the command that submitted a job leaves the job, and another node follows it', async t => {
  const cluster = await Cluster.create(t)
  await cluster.join('a')
  await cluster.join('b')
  const train = cluster.command([
    ...['train', '--node', `${cluster.folder}/a`, '--model', 'lenet', '--data', 'digits?train=2000&test=100', '--trainers', '2'],
    ...['--batch', '8', '--epochs', '1', '--seed', '1', '--log-every', '5', '--out', `${cluster.folder}/out`]
  ])
  const job = await until('the job', () => /job (\w+), results/.exec(train.output())?.[1])
  await until('steps', () => (/step 1\d/.test(train.output()) ? true : undefined))
  train.child.kill('SIGKILL')
  await ended(train.child)
  const logs = cluster.command(['logs', job, '--node', `${cluster.folder}/b`])
  await ended(logs.child)
  t.equal(logs.child.exitCode, 0, logs.output().slice(-500))
  t.match(logs.output(), /done|test accuracy/)
  t.equal((await cluster.nodes[1]!.client.job(job)).state, 'done')
})
