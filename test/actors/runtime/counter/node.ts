// One node with a counter, in a process of its own: argv holds its state folder and perhaps an invite; commands come by IPC.
import { z } from 'zod'
import { actor, Runtime } from '../../../../actors/runtime/index.ts'
import { silentLogger } from '../../../../common/index.ts'
import { openState, startMesh } from '../../../../mesh/index.ts'

export const Counter = actor('counter', {
  state: z.object({ n: z.number().default(0) }),
  replicas: 5,
  calls: {
    add: ({ state }, by: number) => {
      state.n += by
      return state.n
    },
    get: ({ state }) => state.n
  }
})

/** What the test asks: `id` comes back with the answer. */
export type Command = { id: number } & ({ type: 'add' } | { type: 'get' } | { type: 'invite' } | { type: 'alive' })
export type Answer = { id: number; value?: unknown; error?: string; message?: string }

if (process.send !== undefined) {
  const [directory, invite] = process.argv.slice(2) as [string, string | undefined]
  const state = openState(directory)
  let runtime!: Runtime
  const mesh = await startMesh({
    state,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    invite: invite ?? '',
    prepare: mesh => {
      runtime = new Runtime({ mesh, logger: silentLogger, store: state.kv(`actors/${mesh.name}`) })
      runtime.register(Counter)
    }
  })
  const counter = runtime.at(Counter, 'x')
  const answer = async ({ type }: Command): Promise<unknown> => {
    if (type === 'add') return await counter.call('add', 1, { deadline: 15_000 })
    if (type === 'get') return await counter.call('get', null, { deadline: 15_000 })
    return type === 'invite' ? mesh.invite() : mesh.alive().length
  }
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.on('message', (command: Command) => {
    answer(command).then(
      value => process.send?.({ id: command.id, value }),
      error => process.send?.({ id: command.id, error: error.name, message: error.message })
    )
  })
  process.send({ id: 0, value: mesh.peer })
}
