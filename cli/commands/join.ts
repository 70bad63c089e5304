import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import type { FabricChoice, StartNodeOptions } from '../../actors/training/service-types.ts'
import { InvalidParametersError } from '../../common/index.ts'
import type { Context, LocalNode } from '../context.ts'
import { serveControl } from '../control/server.ts'
import { interruptible } from '../interrupt.ts'
import { flag, list, subcommand, text } from '../options.ts'
import { fabrics, integer, label, multiaddr, oneOf, portRange } from '../parse.ts'
import { plain } from '../terminal/format.ts'
import { type Level, nodeLogger } from '../terminal/logger.ts'

const INTERRUPTED = 130

interface JoinFlags {
  gpus?: number
  cpus?: number
  invite?: string
  key?: string
  peer?: string[]
  listen?: string[]
  label?: Record<string, string>
  dataRoot?: string[]
  stateDir?: string
  bulkPorts?: [number, number]
  fabric?: FabricChoice[]
  mdns: boolean
  logLevel: Level
}

export function joinCommand(context: Context): Command {
  const labels = flag('--label <key=value>', 'a label of this node; may be repeated', text)
  labels.argParser((value, before: Record<string, string> | undefined) => label('--label', value, before ?? {}))
  return subcommand('join', 'start a node: join a mesh by an invite, a shared key or the saved membership, else found a new one')
    .addOption(flag('--gpus <n>', 'train on n GPUs (default: all there are)', integer(0, 1024)))
    .addOption(flag('--cpus <n>', 'train on n CPU slots (default: one where there is no GPU)', integer(0, 1024)))
    .addOption(flag('--invite <token>', 'invite that a member printed; also GRADMESH_INVITE', text))
    .addOption(flag('--key <file>', 'shared key of the mesh, from mesh key new', text))
    .addOption(list('--peer <multiaddr>', 'a member to dial, for example /ip4/192.0.2.1/tcp/4001; may be repeated', multiaddr))
    .addOption(list('--listen <multiaddr>', 'address to listen on, for example /ip4/0.0.0.0/tcp/4001; may be repeated', multiaddr))
    .addOption(labels)
    .addOption(list('--data-root <dir>', 'folder that jobs may name paths in; may be repeated (default: any)', text))
    .option('--state-dir <dir>', "the node's folder (default: the first free one under the XDG state folder)")
    .addOption(flag('--bulk-ports <first-last>', 'ports that gradients may come in by', portRange))
    .addOption(
      flag('--fabric <names>', 'ways that gradients may take besides encrypted streams: shm, rdma, stream (default: all)', fabrics)
    )
    .option('--no-mdns', 'do not look for peers on the local network')
    .addOption(flag('--log-level <level>', 'debug, info, warn or error', oneOf('debug', 'info', 'warn', 'error'), 'info'))
    .action(flags => join(context, flags))
}

async function join(context: Context, flags: JoinFlags): Promise<void> {
  if ((flags.gpus ?? 0) > 0 && (flags.cpus ?? 0) > 0) {
    throw new InvalidParametersError('--gpus and --cpus are two kinds of places to train on: give one of them')
  }
  let node: LocalNode | undefined
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>()
  await interruptible(
    context,
    abort => {
      context.exitCode = INTERRUPTED
      if (node === undefined) return abort()
      context.output.line('closing the node; its jobs go on elsewhere. Ctrl-C again ends it at once')
      stop()
    },
    async signal => {
      node = await context.startNode({ ...options(context, flags), signal })
      // From here on an interruption closes the node in order.
      const control = await serveControl({ folder: node.stateDir, service: node }).catch(async error => {
        await node?.close()
        throw error
      })
      try {
        await announce(context, node)
        await Promise.race([stopped, node.closed])
      } finally {
        await control.close()
        await node.close()
      }
    }
  )
}

function options(context: Context, flags: JoinFlags): StartNodeOptions {
  const path = (text: string) => resolve(context.cwd, text)
  return {
    stateDir: flags.stateDir === undefined ? undefined : path(flags.stateDir),
    gpus: flags.gpus,
    cpus: flags.cpus,
    invite: flags.invite ?? (context.env['GRADMESH_INVITE'] || undefined),
    keyFile: flags.key === undefined ? undefined : path(flags.key),
    peers: flags.peer,
    listen: flags.listen,
    labels: flags.label,
    dataRoots: flags.dataRoot?.map(path),
    bulkPorts: flags.bulkPorts,
    fabrics: flags.fabric,
    mdns: flags.mdns,
    logger: nodeLogger(context.output, flags.logLevel)
  }
}

async function announce(context: Context, node: LocalNode): Promise<void> {
  const { output } = context
  const { taken, founded, stateDir } = node
  const status = await node.status()
  // A newcomer needs it now; members print new ones with mesh invite.
  const invite = founded ? await node.invite({ ttl: 24 * 3_600_000 }) : undefined
  output.record({
    type: 'joined',
    node: status.node,
    stateDir,
    taken: [...taken],
    founded,
    mesh: status.mesh,
    peer: status.peer,
    addresses: status.addresses,
    devices: status.devices,
    invite: invite ?? null
  })
  if (taken.length > 0) output.line(`this node is called ${basename(stateDir)}: on this machine ${taken.join(', ')} runs already`)
  output.line(`node ${plain(status.node)} ${founded ? 'has founded' : 'has joined'} mesh ${status.mesh}`)
  output.line(`peer ${status.peer}`)
  for (const address of status.addresses) output.line(`listening on ${plain(address)}`)
  for (const device of status.devices) output.line(`trains on ${device.kind} ${plain(device.name)}`)
  if (invite !== undefined) output.line(`join from elsewhere, within 24 hours: mesh join --invite ${invite}`)
  for (const warning of node.warnings) output.warn(warning)
}
