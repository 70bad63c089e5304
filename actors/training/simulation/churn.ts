import { readFile } from 'node:fs/promises'
import { InvalidParametersError, MalformedError, type Rng } from '../../../common/index.ts'

/** Something that happens to the trainer of a slot: killed, leaving in good order, or a fresh one taking the slot. */
export interface ChurnEvent {
  /** Virtual ms. */
  time: number
  event: 'kill' | 'leave' | 'join'
  slot: number
}

/** Deaths and newcomers: from a list, or drawn with exponential times between failures and until repair. */
export type ChurnSpec = { events: ChurnEvent[] } | { mtbf: number; repair: number }

const MAX_LINES = 1_000_000

/**
 * Reads a churn trace: CSV with the header `ms,event,slot`, events `kill`, `leave` and `join`, times ascending.
 *
 * @throws MalformedError naming file and line
 */
export async function readChurnTrace(path: string, options: { signal?: AbortSignal } = {}): Promise<ChurnSpec> {
  let text: string
  try {
    text = await readFile(path, { encoding: 'utf8', signal: options.signal })
  } catch (error) {
    options.signal?.throwIfAborted()
    throw new InvalidParametersError(`the churn trace ${path} cannot be read: ${(error as Error).message}`)
  }
  return { events: parseChurnTrace(text, path) }
}

/** @param name - what messages call it */
export function parseChurnTrace(text: string, name: string): ChurnEvent[] {
  const lines = text.split(/\r?\n/)
  if (lines.length > MAX_LINES) throw new MalformedError(`${name}: over ${MAX_LINES} lines`)
  if (lines[0]?.replaceAll(' ', '') !== 'ms,event,slot') throw new MalformedError(`${name}, line 1: the header must be ms,event,slot`)
  const events: ChurnEvent[] = []
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!.trim()
    if (line === '') continue
    const [ms = '', event = '', slot = '', ...more] = line.split(',').map(cell => cell.trim())
    const time = ms === '' ? Number.NaN : Number(ms)
    const known = event === 'kill' || event === 'leave' || event === 'join'
    if (more.length > 0 || !known || !/^\d{1,6}$/.test(slot) || !Number.isFinite(time)) {
      throw new MalformedError(`${name}, line ${i + 1}: '${line.slice(0, 60)}' is not ms,event,slot with event kill, leave or join`)
    }
    if (time < (events.at(-1)?.time ?? 0)) {
      throw new MalformedError(`${name}, line ${i + 1}: ${time} ms lies before ${events.at(-1)?.time ?? 0} ms; times ascend from 0`)
    }
    events.push({ time, event, slot: Number(slot) })
  }
  return events
}

/** The next event of a slot whose trainer just began or ended, by mean times; from the slot's own generator. */
export function nextChurn(
  { mtbf, repair }: { mtbf: number; repair: number },
  slot: number,
  alive: boolean,
  now: number,
  rng: Rng
): ChurnEvent {
  const wait = -(alive ? mtbf : repair) * Math.log(1 - rng.float())
  return { time: now + wait, event: alive ? 'kill' : 'join', slot }
}
