import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { InvalidParametersError, NotFoundError, TooLargeError } from '../../common/index.ts'
import { arenasAvailable, createArena, liveMappings, nativeReport, openArena, sumSquares } from '../../native/index.ts'

const skip = arenasAvailable ? false : `no arenas here: ${nativeReport().problem}`

t.test('an arena is whole pages of zeros, and every mapping of it shows the same memory', { skip }, async t => {
  const arena = createArena(10_000)
  t.ok(arena.bytes >= 10_000 && arena.bytes % 4096 === 0 && arena.bytes % arena.page === 0)
  t.equal(sumSquares(arena.floats()), 0)
  const again = openArena(arena.share())
  t.not(again.buffer, arena.buffer)
  arena.floats(7, 2).set([1.5, 2.5])
  t.same([...again.floats(6, 4)], [0, 1.5, 2.5, 0])
  arena.close()
  again.floats()[0] = 9
  t.equal(again.floats()[0], 9, 'the memory outlives the mapping it was made by')
  again.close()
})

t.test('another thread works on the same memory', { skip }, async t => {
  const arena = createArena(4096)
  const url = new URL('../../native/index.ts', import.meta.url).href
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
     import(${JSON.stringify(url)}).then(({ openArena }) => {
       openArena(workerData).floats(0, 3).set([1, 2, 3])
       parentPort.postMessage('written')
     })`,
    { eval: true, workerData: arena.share() }
  )
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  t.same([...arena.floats(0, 4)], [1, 2, 3, 0])
  await worker.terminate()
  t.same([...arena.floats(0, 4)], [1, 2, 3, 0], 'also when the thread is gone')
  arena.close()
})

t.test('a closed arena has no memory left to touch', { skip }, async t => {
  const arena = createArena(4096)
  const view = arena.floats()
  const shared = arena.share()
  arena.close()
  arena.close()
  t.equal(view.length, 0)
  t.equal(arena.buffer.byteLength, 0)
  t.throws(() => sumSquares(view), InvalidParametersError)
  t.throws(() => arena.floats(), InvalidParametersError)
  t.throws(() => arena.share(), InvalidParametersError)
  t.throws(() => openArena(shared), NotFoundError)
})

t.test('what is not an arena is not opened', { skip }, async t => {
  const arena = createArena(4096)
  const shared = arena.share()
  const other = createArena(4096)
  t.throws(() => openArena({ ...shared, descriptor: other.share().descriptor }), NotFoundError, 'another one')
  t.throws(() => openArena({ ...shared, descriptor: 1 }), NotFoundError, 'no memory at all')
  t.throws(() => openArena({ ...shared, descriptor: 1_000_000 }), NotFoundError, 'nothing')
  t.throws(() => openArena({ ...shared, bytes: arena.bytes * 2 }), NotFoundError, 'larger than it is')
  t.throws(() => openArena({ ...shared, id: '../../etc/passwd' }), InvalidParametersError)
  t.throws(() => openArena({ ...shared, pid: -1 }), InvalidParametersError)
  t.throws(() => openArena({} as never), InvalidParametersError)
  t.throws(() => arena.floats(0, arena.bytes), InvalidParametersError)
  t.throws(() => arena.floats(-1, 1), InvalidParametersError)
  for (const bytes of [0, -1, 0.5, Number.NaN, 2 ** 60]) t.throws(() => createArena(bytes), InvalidParametersError, String(bytes))
  if (process.availableMemory() < 2 ** 35) t.throws(() => createArena(2 ** 35), TooLargeError, 'more than there is')
  arena.close()
  other.close()
})

t.test('closed arenas are unmapped', { skip }, async t => {
  const before = liveMappings()
  for (let i = 0; i < 200; i++) {
    const arena = createArena(1 << 16)
    const again = openArena(arena.share())
    again.floats().fill(1)
    again.close()
    arena.close()
  }
  for (let i = 0; i < 100 && liveMappings() > before; i++) {
    await setImmediate()
  }
  t.ok(liveMappings() <= before, `${before} before, ${liveMappings()} after`)
})
