import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFirstFree, openState, stateBase } from '../../../mesh/state/index.ts'
import { folder } from '../fixtures.ts'

const text = (value: string) => new TextEncoder().encode(value)

t.test('what was put is there after the folder is opened again, and each opening has a higher number', async t => {
  const directory = join(folder(t), 'node')
  const first = openState(directory)
  first.kv('a').put('x', text('one'))
  first.kv('a').put('x', text('two'))
  first.kv('a').put('y', text('three'))
  first.kv('b').put('x', text('other'))
  first.kv('a').delete('y')
  first.close()
  first.close()
  const second = openState(directory)
  t.teardown(() => second.close())
  t.equal(second.boot, first.boot + 1)
  t.equal(second.name, 'node')
  t.same(second.kv('a').entries(), [['x', text('two')]])
  t.same(second.kv('b').get('x'), text('other'))
  t.equal(second.kv('c').get('x'), undefined)
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.throws(() => second.kv('a').put('big', new Uint8Array(17 * 2 ** 20)), { name: 'InvalidParametersError' })
})

t.test('a folder is held by one opener at a time, in this process too', async t => {
  const directory = folder(t)
  const state = openState(directory)
  t.throws(() => openState(directory), { name: 'InUseError', message: /held by another running node/ })
  state.close()
  openState(directory).close()
})

t.test('the second node takes the next name and says whose name was taken', async t => {
  const base = folder(t)
  const first = openFirstFree(base)
  const second = openFirstFree(base)
  const third = openFirstFree(base)
  t.same(
    [first, second, third].map(f => f.state.name),
    ['node', 'node-1', 'node-2']
  )
  t.same(third.taken, ['node', 'node-1'])
  second.state.close()
  const again = openFirstFree(base)
  t.equal(again.state.name, 'node-1')
  for (const { state } of [first, third, again]) state.close()
})

t.test('the death of the process frees the folder', async t => {
  const directory = folder(t)
  const module = join(import.meta.dirname, '../../../mesh/state/index.ts')
  const script = `import { openState } from ${JSON.stringify(module)}; openState(${JSON.stringify(directory)}); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  t.throws(() => openState(directory), { name: 'InUseError' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const state = openState(directory)
  t.equal(state.boot, 2)
  state.close()
})

t.test('a folder that cannot be made is named', async t => {
  const file = join(folder(t), 'file')
  writeFileSync(file, '')
  t.throws(() => openState(join(file, 'node')), { name: 'InvalidParametersError', message: /file.node cannot be used/ })
})

t.test('the base folder follows XDG_STATE_HOME when it is absolute', async t => {
  t.equal(stateBase({ XDG_STATE_HOME: '/var/x' }), '/var/x/gradmesh')
  t.match(stateBase({ XDG_STATE_HOME: 'relative' }), /\.local\/state\/gradmesh$/)
  t.match(stateBase({}), /\.local\/state\/gradmesh$/)
})
