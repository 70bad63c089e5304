/**
 * A chat room on actors: a room is an actor that keeps its last lines and emits new ones; whoever is on the mesh subscribes.
 * `node examples/chat-room.ts ROOM NAME` on any node of a mesh: what you type is heard in all.
 */
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { actor, call, join } from '../index.ts'

const line = z.object({ name: z.string().min(1).max(40), text: z.string().min(1).max(500), number: z.number() })
type Line = z.infer<typeof line>
const KEPT = 50

export const Room = actor('room', {
  state: z.object({ lines: z.array(line).default([]), count: z.number().default(0) }),
  events: { said: line },
  calls: {
    say: call(line.omit({ number: true }), (context, { name, text }) => {
      const said: Line = { name, text, number: ++context.state.count }
      context.state.lines = [...context.state.lines, said].slice(-KEPT)
      // Heard only once the room's nodes have it.
      context.emit('said', said)
      return said.number
    }),
    history: ({ state }) => state.lines
  }
})

async function chat(room: string, name: string): Promise<void> {
  const mesh = await join()
  mesh.register(Room)
  const handle = mesh.at(Room, room)
  for (const said of await handle.call('history')) console.log(`${said.name}: ${said.text}`)
  const lines = await handle.subscribe('said')
  void (async () => {
    for await (const said of lines) if (said.name !== name) console.log(`${said.name}: ${said.text}`)
  })()
  for await (const text of createInterface({ input: process.stdin })) {
    if (text !== '') await handle.call('say', { name, text })
  }
  await mesh.close()
}

if (import.meta.main) await chat(process.argv[2] ?? 'lobby', process.argv[3] ?? 'somebody')
