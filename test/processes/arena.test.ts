// starts processes
// An arena lives as long as anybody has it open and no longer, whoever is killed meanwhile; it has no name that could be left behind.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { NotFoundError } from '../../common/index.ts'
import { arenasAvailable, createArena, nativeReport, openArena, type SharedArena } from '../../native/index.ts'

const skip = arenasAvailable && process.platform === 'linux' ? false : `no arenas between processes here: ${nativeReport().problem}`

const holder = async (shared: SharedArena | 'make'): Promise<{ child: ChildProcess; arena: SharedArena }> => {
  const child = fork(fileURLToPath(new URL('./arena-holder.ts', import.meta.url)))
  t.teardown(() => child.kill('SIGKILL'))
  child.send(shared)
  const [arena] = (await once(child, 'message')) as [SharedArena]
  return { child, arena }
}

const kill = async (child: ChildProcess) => {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Whether a process has the memory of this name open. */
const hasOpen = (pid: number, id: string) =>
  readdirSync(`/proc/${pid}/fd`).some(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).includes(id)
    } catch {
      return false
    }
  })

t.test('memory outlives the process that made it, killed or not, while another has it open', { skip }, async t => {
  const { child, arena } = await holder('make')
  const mine = openArena(arena)
  t.equal(mine.floats()[1], 42)
  await kill(child)
  t.equal(mine.floats()[1], 42)
  mine.floats().fill(7)
  t.throws(() => openArena(arena), NotFoundError, 'by way of the dead process it is not found')
  const again = openArena(mine.share())
  t.equal(again.floats()[1], 7)
  again.close()
  mine.close()
  t.notOk(hasOpen(process.pid, arena.id))
})

t.test('a process killed with an arena open leaves nothing, here or in any file system', { skip }, async t => {
  const named = readdirSync('/dev/shm').filter(name => name.includes('gradmesh') || name.startsWith('gm-'))
  const mine = createArena(1 << 20)
  const { child, arena } = await holder(mine.share())
  t.equal(arena.id, mine.id)
  t.equal(mine.floats()[1], 42, 'what the other wrote is here')
  t.ok(hasOpen(child.pid!, mine.id))
  await kill(child)
  t.ok(hasOpen(process.pid, mine.id))
  mine.close()
  t.notOk(hasOpen(process.pid, mine.id), 'the last descriptor is gone')
  t.same(
    readdirSync('/dev/shm').filter(name => name.includes('gradmesh') || name.startsWith('gm-')),
    named
  )
})
