import type { Command } from 'commander'
import type { DeviceStatus, NodeStatus } from '../../actors/training/service-types.ts'
import type { Context } from '../context.ts'
import { nodeCommand } from '../options.ts'
import { bytes, plain, short, table } from '../terminal/format.ts'
import { jobTable } from './jobs.ts'

export function statusCommand(context: Context): Command {
  return nodeCommand('status', 'show the mesh as a node sees it: members, devices, fabrics, trainers, jobs').action(async ({ node }) => {
    const { client } = await context.node(node)
    const status = await client.status()
    context.output.record({ type: 'status', ...status })
    for (const line of statusLines(status)) context.output.line(line)
  })
}

export function statusLines(status: NodeStatus): string[] {
  const { p50, p99, max } = status.eventLoopDelay
  const lines = [
    `node ${plain(status.node)}, mesh ${status.mesh}, version ${plain(status.version)}`,
    `peer ${status.peer}`,
    ...status.addresses.map(address => `listening on ${plain(address)}`),
    `event loop delay: median ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, most ${max.toFixed(1)} ms`,
    '',
    ...table(
      ['MEMBER', 'STATE', 'DEVICES', 'FABRICS', 'LABELS'],
      status.members.map(member => [
        short(member.peer) + (member.self ? ' (this node)' : ''),
        member.state,
        devices(member.devices),
        member.fabrics
          .map(fabric => plain(fabric.kind === fabric.device || fabric.kind === 'shm' ? fabric.kind : `${fabric.kind} ${fabric.device}`))
          .join(', ') || '-',
        Object.entries(member.labels)
          .map(([key, value]) => plain(`${key}=${value}`))
          .join(' ') || '-'
      ])
    )
  ]
  if (status.trainers.length > 0) {
    const rows = status.trainers.map(trainer => [
      plain(trainer.job),
      // The node is this one.
      plain(trainer.slot.slice(trainer.slot.lastIndexOf('/') + 1)),
      String(trainer.pid),
      plain(trainer.state),
      String(trainer.step),
      Object.entries(trainer.channels ?? {})
        .map(([kind, count]) => `${count} ${plain(kind)}`)
        .join(', ') || '-',
      trainer.eventLoopDelay === undefined ? '-' : `${trainer.eventLoopDelay.p99.toFixed(1)} ms`
    ])
    lines.push('', ...table(['TRAINER OF', 'SLOT', 'PROCESS', 'STATE', 'STEP', 'CHANNELS', 'DELAY P99'], rows))
  }
  if (status.jobs.length > 0) lines.push('', ...jobTable(status.jobs))
  return lines
}

function devices(list: DeviceStatus[]): string {
  const texts = list.map(device => {
    const memory = device.memory === undefined ? '' : ` ${bytes(device.memory)}`
    const providers = device.providers.length === 0 ? '' : ` (${device.providers.join(', ')})`
    return plain(`${device.kind} ${device.name}${memory}${providers}`)
  })
  // Equal devices are told once.
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].map(([text, n]) => (n === 1 ? text : `${n} × ${text}`)).join(', ') || '-'
}
