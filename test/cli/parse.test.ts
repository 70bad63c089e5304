import t from 'tap'
import { duration, fabrics, integer, label, multiaddr, number, oneOf, option, portRange } from '../../cli/parse.ts'

const wrong = { name: 'InvalidParametersError', exitCode: 2 }

t.test('whole numbers are taken as such and nothing else is', async t => {
  const parse = integer(1, 10)
  t.equal(parse('--n', '10'), 10)
  for (const text of ['0', '11', '1.5', '1e1', '0x1', '-1', '', ' 1', 'NaN', 'Infinity', '99999999999999999999']) {
    t.throws(() => parse('--n', text), { ...wrong, message: `--n takes a whole number from 1 to 10, not '${text}'` })
  }
  t.throws(() => integer(1)('--n', '0'), { message: "--n takes a whole number from 1, not '0'" })
})

t.test('numbers keep to their interval', async t => {
  const rate = number({ above: 0, to: 10 })
  t.equal(rate('--lr', '1e-3'), 0.001)
  t.equal(rate('--lr', '.5'), 0.5)
  for (const text of ['0', '10.1', '-1', 'x', 'NaN', 'Infinity', '1e999', '0x10', '1_0']) {
    t.throws(() => rate('--lr', text), { ...wrong, message: `--lr takes a number above 0, at most 10, not '${text}'` })
  }
  t.equal(number({ from: 0, below: 1 })('--momentum', '0'), 0)
  t.throws(() => number({ from: 0, below: 1 })('--momentum', '1'), wrong)
})

t.test('choices, times, labels, ports and addresses', async t => {
  t.equal(oneOf('wait', 'continue')('--on-split', 'wait'), 'wait')
  t.throws(() => oneOf('wait', 'continue')('--on-split', 'x'), { ...wrong, message: "--on-split takes wait or continue, not 'x'" })
  const ttl = duration(60_000, 86_400_000)
  t.equal(ttl('--ttl', '90m'), 5_400_000)
  for (const text of ['90', '1s', '2d', '1.5h', '']) t.throws(() => ttl('--ttl', text), wrong)
  t.same(label('--label', 'rack=3', { room: 'a' }), { room: 'a', rack: '3' })
  for (const text of ['rack', '=3', 'a b=c']) t.throws(() => label('--label', text, {}), wrong)
  t.same(portRange('--bulk-ports', '4100-4199'), [4100, 4199])
  t.same(portRange('--bulk-ports', '4100'), [4100, 4100])
  t.same(fabrics('--fabric', 'rdma, shm'), ['shm', 'rdma', 'stream'])
  t.same(fabrics('--fabric', 'stream'), ['stream'])
  for (const text of ['', 'infiniband', 'shm;rdma']) t.throws(() => fabrics('--fabric', text), /takes one or more of shm, rdma, stream/)
  for (const text of ['0-1', '5-4', '1-70000', 'x']) t.throws(() => portRange('--bulk-ports', text), wrong)
  t.equal(multiaddr('--peer', '/ip4/192.0.2.1/tcp/4001'), '/ip4/192.0.2.1/tcp/4001')
  for (const text of ['192.0.2.1:4001', '/', '/ip4', '/ip4/1.2.3.4/tcp/1\n']) t.throws(() => multiaddr('--peer', text), wrong)
})

t.test('options of a strategy are numbers, truth values or text', async t => {
  t.same(option('--strategy-option', 'h=8'), { h: 8 })
  t.same(option('--strategy-option', 'average-optimizer=true', { h: 8 }), { h: 8, 'average-optimizer': true })
  t.same(option('--strategy-option', 'codec=top-k:0.01'), { codec: 'top-k:0.01' })
  for (const wrong of ['h', '=8', 'H=8', 'h=']) t.throws(() => option('--strategy-option', wrong), { name: 'InvalidParametersError' })
})
