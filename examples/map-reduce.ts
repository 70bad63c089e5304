/**
 * Map-reduce over actors: mappers, soft and spread over the mesh, count words of a piece of text each; a reducer adds up what they
 * find. A mapper whose node dies is asked again elsewhere: mapping twice does no harm. `node examples/map-reduce.ts FILE`
 */
import { readFile } from 'node:fs/promises'
import { actor, join } from '../index.ts'

type Counts = [word: string, count: number][]

export const Mapper = actor('mapper', {
  calls: {
    map: (_, text: string): Counts => {
      const counts = new Map<string, number>()
      for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) counts.set(word, (counts.get(word) ?? 0) + 1)
      return [...counts]
    }
  }
})

export const Reducer = actor('reducer', {
  create: () => ({ total: new Map<string, number>(), done: new Set<number>() }),
  calls: {
    // A piece counts once, however often it comes.
    add: ({ state }, { piece, counts }: { piece: number; counts: Counts }) => {
      if (state.done.has(piece)) return
      state.done.add(piece)
      for (const [word, count] of counts) state.total.set(word, (state.total.get(word) ?? 0) + count)
    },
    top: ({ state }, n: number): Counts => [...state.total].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, n)
  }
})

export function pieces(text: string, size: number): string[] {
  const words = text.split(/\s+/)
  return Array.from({ length: Math.ceil(words.length / size) }, (_, i) => words.slice(i * size, (i + 1) * size).join(' '))
}

/** The `n` most frequent words of `text`; `job` names the actors. */
export async function count(mesh: Pick<Awaited<ReturnType<typeof join>>, 'at'>, job: string, text: string, n: number): Promise<Counts> {
  const reducer = mesh.at(Reducer, job)
  await Promise.all(
    pieces(text, 1000).map(async (part, piece) => {
      const counts = await mesh.at(Mapper, `${job}/${piece}`).call('map', part, { idempotent: true, deadline: 60_000 })
      await reducer.call('add', { piece, counts }, { idempotent: true })
    })
  )
  return await reducer.call('top', n)
}

if (import.meta.main) {
  const mesh = await join()
  for (const type of [Mapper, Reducer]) mesh.register(type)
  for (const [word, times] of await count(mesh, `words-${Date.now()}`, await readFile(process.argv[2] ?? 'README.md', 'utf8'), 10)) {
    console.log(`${times} ${word}`)
  }
  await mesh.close()
}
