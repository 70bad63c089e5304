// `npm run bench -- membership [--rounds N] [--calm SECONDS]`: five nodes in processes of their own on loopback while both cores are
// busy. How long until every survivor declares a node that was killed (SIGKILL) or frozen (SIGSTOP), and whether anybody is declared
// falsely in quiet times.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openFirstFree, startMesh } from '../mesh/index.ts'

const NODES = 5

interface Report {
  type: 'ready' | 'change' | 'alive'
  peer: string
  invite?: string
  change?: string
  about?: string
  /** Milliseconds since 1970, by a clock that all processes share. */
  time: number
  alive?: number
}

const now = () => performance.timeOrigin + performance.now()

async function node(folder: string, invite: string): Promise<void> {
  const { state } = openFirstFree(folder)
  const mesh = await startMesh({ state, listen: ['/ip4/127.0.0.1/tcp/0'], ...(invite === '' ? {} : { invite }) })
  const say = (report: Omit<Report, 'peer' | 'time'>) => process.send!({ ...report, peer: mesh.peer, time: now() })
  mesh.onMembers(({ change, member }) => {
    if (change !== 'updated') say({ type: 'change', change, about: member.peer, alive: mesh.alive().length })
  })
  process.on('disconnect', () => process.exit(0))
  say({ type: 'ready', invite: mesh.invite({ ttl: 3_600_000 }), alive: mesh.alive().length })
}

class Nodes {
  readonly folder = mkdtempSync(join(tmpdir(), 'gradmesh-membership-'))
  readonly processes: ChildProcess[] = []
  readonly peers: string[] = []
  readonly alive: number[] = []
  readonly onReport = new Set<(index: number, report: Report) => void>()
  invite = ''

  async start(index: number): Promise<void> {
    const child = fork(import.meta.filename, ['--node', join(this.folder, String(index)), '--invite', this.invite])
    this.processes[index] = child
    this.alive[index] = 0
    await new Promise<void>((resolve, reject) => {
      child.once('exit', code => reject(new Error(`node ${index} exited with ${code}`)))
      child.on('message', (report: Report) => {
        if (report.alive !== undefined) this.alive[index] = report.alive
        if (report.type === 'ready') {
          this.peers[index] = report.peer
          this.invite = report.invite!
          resolve()
        }
        for (const listener of this.onReport) listener(index, report)
      })
    })
  }

  /** Resolves when every node sees all of them. */
  async whole(): Promise<void> {
    while (!this.alive.every(n => n === NODES)) await new Promise(resolve => setTimeout(resolve, 20))
  }

  stop(): void {
    for (const child of this.processes) child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Takes the node down and brings it back. @returns for each survivor the time until it declared the node, ms */
async function round(nodes: Nodes, victim: number, signal: 'SIGKILL' | 'SIGSTOP'): Promise<number[]> {
  const times = new Map<number, number>()
  const child = nodes.processes[victim]!
  const peer = nodes.peers[victim]
  await new Promise<void>(resolve => {
    nodes.onReport.add(function listener(index, { change, about, time }) {
      if (change !== 'dead' || about !== peer || times.has(index)) return
      times.set(index, time - start)
      if (times.size < NODES - 1) return
      nodes.onReport.delete(listener)
      resolve()
    })
    const start = now()
    child.kill(signal)
  })
  if (signal === 'SIGSTOP') child.kill('SIGCONT')
  else await nodes.start(victim)
  return [...times.values()]
}

function summary(name: string, times: number[]): void {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed()
  console.log(`${name}: ${times.length} declarations, median ${at(0.5)} ms, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)}`)
}

async function main(rounds: number, calm: number): Promise<void> {
  const nodes = new Nodes()
  const burners = Array.from({ length: availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']))
  try {
    for (let i = 0; i < NODES; i++) await nodes.start(i)
    await nodes.whole()
    let suspected = 0
    let dead = 0
    nodes.onReport.add((_, { change }) => {
      if (change === 'suspect') suspected++
      if (change === 'dead') dead++
    })
    await new Promise(resolve => setTimeout(resolve, calm * 1000))
    console.log(`${calm} s in which nobody went: ${suspected} suspicions, ${dead} declarations`)
    const times: Record<'SIGKILL' | 'SIGSTOP', number[]> = { SIGKILL: [], SIGSTOP: [] }
    for (let i = 0; i < rounds; i++) {
      for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
        times[signal].push(...(await round(nodes, (i * 2 + Number(signal === 'SIGSTOP')) % NODES, signal)))
        await nodes.whole()
      }
    }
    summary('killed (SIGKILL)', times.SIGKILL)
    summary('frozen (SIGSTOP)', times.SIGSTOP)
  } finally {
    nodes.stop()
    for (const burner of burners) burner.kill('SIGKILL')
  }
}

const { values } = parseArgs({
  options: {
    node: { type: 'string' },
    invite: { type: 'string', default: '' },
    rounds: { type: 'string', default: '20' },
    calm: { type: 'string', default: '60' }
  }
})
if (values.node !== undefined) await node(values.node, values.invite)
else await main(Number(values.rounds), Number(values.calm))
