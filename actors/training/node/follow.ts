import { decode, encode } from 'cborg'
import { z } from 'zod'
import { MalformedError } from '../../../common/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import type { CallOptions, JobEvent } from '../service-types.ts'
import type { NodeAgent } from './agent.ts'
import type { JournalEntry } from './journal.ts'
import type { LocalJob } from './local-job.ts'

export const FOLLOW_PROTOCOL = '/gradmesh/follow/1.0.0'
const requestSchema = z.object({ job: z.string().max(256), live: z.boolean() })
/** Entries that wait for a slow reader, over all nodes. */
const MAX_WAITING = 10_000
/** A node that says nothing of its past in this time is merged as it comes, ms. */
const PAST_DEADLINE = 3000

/** Serves this node's share of a job's events to other nodes: JSON lines, `null` where the past ends. */
export function serveFollow(mesh: Mesh, agent: NodeAgent): () => void {
  return mesh.handleStream(FOLLOW_PROTOCOL, async function* (request, { signal }) {
    const parsed = requestSchema.safeParse(decode(request))
    if (!parsed.success) throw new MalformedError('a follow request needs job and live')
    const job = agent.job(parsed.data.job)
    for await (const entry of job.journal.read({ live: parsed.data.live, signal })) {
      yield new TextEncoder().encode(JSON.stringify(entry ?? null))
    }
  })
}

interface Source {
  past: JournalEntry[] | undefined
  ended: boolean
  /** Number of the last entry taken: a node that comes back is read from its start again. */
  last: number
}

/** Merges what every node reports of a job: the past by time, then as it comes. */
export async function* follow(mesh: Mesh, job: LocalJob, options: CallOptions & { live?: boolean }): AsyncGenerator<JobEvent> {
  const live = options.live ?? true
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const sources = new Map<string, Source>()
  let queue: JobEvent[] = []
  let taken = () => {}
  let wake = () => {}
  let merged = false
  const deadline = performance.now() + PAST_DEADLINE

  const take = (source: Source, entry: JournalEntry) => {
    if (entry.n <= source.last) return
    source.last = entry.n
    if (!merged) source.past?.push(entry)
    else queue.push(entry.event)
    wake()
  }
  const waiting = new Set<Source>()
  const settle = (source?: Source) => {
    if (source !== undefined) waiting.delete(source)
    if (merged || (waiting.size > 0 && performance.now() < deadline)) return
    merged = true
    const past = [...sources.values()].flatMap(s => s.past ?? [])
    past.sort((a, b) => a.time - b.time || a.n - b.n)
    queue = past.map(e => e.event).concat(queue)
    for (const s of sources.values()) s.past = undefined
  }
  const open = (peer: string) => {
    const before = sources.get(peer)
    const source: Source = { past: merged ? undefined : (before?.past ?? []), ended: false, last: before?.last ?? 0 }
    sources.set(peer, source)
    waiting.add(source)
    void (async () => {
      try {
        for await (const entry of entries(mesh, job, peer, live, signal)) {
          if (entry === undefined) settle(source)
          else take(source, entry)
          // A slow reader holds up the nodes it reads from, not this one's memory.
          while (merged && queue.length >= MAX_WAITING && !signal.aborted) {
            await new Promise<void>(resolve => {
              taken = resolve
            })
          }
        }
      } catch {
        // The node died or does not know the job yet: it is asked again while it lives.
      }
      source.ended = true
      settle(source)
      wake()
    })()
  }
  const update = () => {
    for (const peer of mesh.alive()) {
      const source = sources.get(peer)
      if (source === undefined || (source.ended && live && job.result === undefined)) open(peer)
    }
    settle()
    wake()
  }
  const off = mesh.onMembers(update)
  const timer = setInterval(update, 250)
  update()
  const onAbort = () => wake()
  options.signal?.addEventListener('abort', onAbort)
  try {
    while (options.signal?.aborted !== true) {
      const event = queue.shift()
      if (event !== undefined) {
        if (queue.length < MAX_WAITING) taken()
        yield event
        continue
      }
      const ended = merged && [...sources.values()].every(s => s.ended)
      if (ended && (!live || job.result !== undefined)) return
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  } finally {
    off()
    options.signal?.removeEventListener('abort', onAbort)
    clearInterval(timer)
    stop.abort()
    taken()
  }
}

async function* entries(
  mesh: Mesh,
  job: LocalJob,
  peer: string,
  live: boolean,
  signal: AbortSignal
): AsyncGenerator<JournalEntry | undefined> {
  if (peer === mesh.peer) {
    yield* job.journal.read({ live, signal })
    return
  }
  const request = encode({ job: job.record.job, live })
  for await (const frame of mesh.stream(peer, FOLLOW_PROTOCOL, request, { signal })) {
    yield checkEntry(JSON.parse(new TextDecoder().decode(frame)))
  }
}

const eventTypes = ['metrics', 'evaluation', 'generation', 'epoch', 'paused', 'resumed', 'state', 'log', 'checkpoint'] as const
const entrySchema = z
  .object({
    n: z.number().int().positive(),
    time: z.number(),
    event: z.looseObject({
      type: z.enum(eventTypes),
      message: z.string().transform(printable).optional(),
      reason: z.string().transform(printable).optional()
    })
  })
  .nullable()

/** An entry of another node's journal, or the mark where its past ends. @throws ZodError, which ends the reading of that node */
function checkEntry(value: unknown): JournalEntry | undefined {
  return (entrySchema.parse(value) as JournalEntry | null) ?? undefined
}

/** A peer's text goes to terminals: without control characters. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ').slice(0, 4000)
}
