import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Logger, silentLogger } from '../../../common/index.ts'
import { type Device, findDevices, findFabrics, type Mesh, openFirstFree, openState, type State, startMesh } from '../../../mesh/index.ts'
import { nativeReport } from '../../../native/index.ts'
import { type ActorType, type CallTable, type EventTable, Runtime } from '../../runtime/index.ts'
import type { RunningNode, StartEmbeddedOptions, StartNodeOptions } from '../service-types.ts'
import { workingProviders } from '../trainer/probe.ts'
import { NodeAgent } from './agent.ts'
import { serveFollow } from './follow.ts'
import { Service } from './service.ts'

/**
 * Starts a node in this process: joins or founds a mesh, offers its devices, runs trainers on them.
 *
 * @throws InUseError, AdmissionError, InvalidParametersError, each one line that says what to do
 */
export async function startNode(options: StartNodeOptions = {}): Promise<RunningNode> {
  const { state, taken } = options.stateDir === undefined ? openFirstFree() : { state: openState(options.stateDir), taken: [] }
  try {
    const devices = await findDevices({
      ...(options.gpus === undefined ? {} : { gpus: options.gpus }),
      ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
      probe: device => workingProviders(device.kind)
    })
    return await run(state, taken, devices, options)
  } catch (error) {
    state.close()
    throw error
  }
}

/** Starts a mesh of one node on the loopback interface for the life of this process; its state goes with it. */
export async function startEmbedded(options: StartEmbeddedOptions): Promise<RunningNode> {
  const stateDir = await mkdtemp(join(tmpdir(), 'gradmesh-'))
  const state = openState(stateDir)
  try {
    const found = await findDevices({ probe: device => workingProviders(device.kind) })
    const gpus = found.filter(d => d.kind === 'gpu')
    const devices =
      gpus.length >= options.trainers
        ? gpus.slice(0, options.trainers)
        : await findDevices({ cpus: options.trainers, gpus: 0, probe: device => workingProviders(device.kind) })
    const node = await run(state, [], devices, { ...options, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, invite: '' })
    // Whoever embeds a mesh has taken what it needs out of the folder by the time it closes it.
    const forget = () => rm(stateDir, { recursive: true, force: true })
    node.closed.then(forget, forget)
    return node
  } catch (error) {
    state.close()
    await rm(stateDir, { recursive: true, force: true })
    throw error
  }
}

async function run(state: State, taken: string[], devices: Device[], options: StartNodeOptions): Promise<RunningNode> {
  const logger: Logger = options.logger ?? silentLogger
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let training: { runtime: Runtime; agent: NodeAgent; unserve(): void } | undefined
  const mesh = await startMesh(
    {
      state,
      devices,
      fabrics: await findFabrics(),
      logger,
      ...(options.listen === undefined ? {} : { listen: options.listen }),
      ...(options.peers === undefined ? {} : { peers: options.peers }),
      ...(options.invite === undefined ? {} : { invite: options.invite }),
      ...(options.keyFile === undefined ? {} : { keyFile: options.keyFile }),
      ...(options.labels === undefined ? {} : { labels: options.labels }),
      ...(options.mdns === undefined ? {} : { mdns: options.mdns }),
      // What this node answers is registered before anybody can ask.
      prepare: mesh => {
        training = prepare(mesh, state, logger, options)
      }
    },
    options.signal === undefined ? {} : { signal: options.signal }
  )
  const { runtime, agent, unserve } = training!
  delay.reset()

  const closed = Promise.withResolvers<void>()
  void mesh.removed.then(error => end(false).then(() => closed.reject(error)))
  let ending: Promise<void> | undefined
  const end = (leave: boolean) => {
    ending ??= (async () => {
      if (leave) {
        await agent.drain()
        await training!.runtime.drain()
      }
      unserve()
      await agent.close()
      if (leave) await mesh.leave()
      await mesh.stop()
      state.close()
      delay.disable()
    })().then(closed.resolve, closed.reject)
    return ending
  }
  const service = new Service({
    mesh,
    runtime,
    agent,
    node: state.name,
    delay,
    leave: () => end(true),
    close: () => end(false),
    ...(options.dataRoots === undefined ? {} : { dataRoots: options.dataRoots })
  })
  return Object.assign(service, {
    peer: mesh.peer,
    register: (type: ActorType<any>) => runtime.register(type),
    at: <Calls extends CallTable, Events extends EventTable>(type: ActorType<Calls, Events>, key: string, at?: { node?: string }) =>
      runtime.at(type, key, at),
    stateDir: state.directory,
    taken: taken.map(t => basename(t)),
    founded: mesh.source === 'founded',
    warnings: [...mesh.warnings, ...slower()],
    closed: closed.promise
  })
}

/** What to say where no native layer is: the same numbers come out, later. */
function slower(): string[] {
  const { problem } = nativeReport()
  return problem === undefined ? [] : [`training is slower without the native layer: ${problem}`]
}

function prepare(mesh: Mesh, state: State, logger: Logger, options: StartNodeOptions) {
  const runtime = new Runtime({ mesh, logger, store: state.kv(`actors/${mesh.name}`) })
  const agent = new NodeAgent({
    mesh,
    runtime,
    logger,
    stateDir: state.directory,
    bulkListen: bulkAddresses(mesh, options.bulkPorts),
    ...(options.bulkPorts === undefined ? {} : { bulkPorts: options.bulkPorts }),
    ...(options.fabrics === undefined ? {} : { fabrics: options.fabrics }),
    ...(options.dataRoots === undefined ? {} : { dataRoots: options.dataRoots })
  })
  agent.start()
  return { runtime, agent, unserve: serveFollow(mesh, agent) }
}

/** Where each trainer's bulk endpoint listens: the interfaces of the node, free ports, or the next of those it may use. */
function bulkAddresses(mesh: Mesh, ports: [number, number] | undefined): () => string[] {
  let next = 0
  return () => {
    const interfaces = new Set(mesh.addresses().map(a => a.replace(/\/tcp\/\d+.*$/, '')))
    const port = ports === undefined ? 0 : ports[0] + (next++ % (ports[1] - ports[0] + 1))
    return [...interfaces].map(i => `${i}/tcp/${port}`)
  }
}
