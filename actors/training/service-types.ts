/**
 * What a node offers to whoever stands on the same machine: the command over its control socket, a program in its own process.
 * `startNode` and `startEmbedded` make one.
 */
import type { Logger } from '../../common/index.ts'
import type { ActorType, CallTable, EventTable, Handle } from '../runtime/index.ts'
import type { Schedule } from './optimizers/schedules.ts'
import type { OptimizerSpec } from './optimizers/settings.ts'

export { parseSchedule, type Schedule, schedulePolicies, scheduleSettings } from './optimizers/schedules.ts'
export { type OptimizerSpec, optimizerNames, parseOptimizer, settingsOf, usual } from './optimizers/settings.ts'

/** One physical device of a node. */
export interface DeviceStatus {
  id: string
  uuid?: string
  kind: 'gpu' | 'cpu'
  name: string
  /** Bytes. */
  memory?: number
  /** Execution providers a session has run on here: `cpu`, `cuda`, `webgpu`. */
  providers: string[]
  /** Whether no trainer holds it; a hint when it is another node's. */
  free?: boolean
}

/** One way to move bulk bytes that a node has. */
export interface FabricStatus {
  kind: 'infiniband' | 'roce' | 'shm' | 'tcp'
  device: string
  linkLayer?: string
  /** Gbit/s as the device reports it, or its own text. */
  rate?: number | string
}

/** Percentiles of a process's event-loop delay, ms, over its recent past. */
export interface EventLoopDelay {
  p50: number
  p99: number
  max: number
}

export interface MemberStatus {
  peer: string
  /** The name the node gave itself, where it is known. */
  node?: string
  state: 'alive' | 'suspect' | 'dead' | 'left'
  addresses: string[]
  /** Whether this is the node that answers. */
  self: boolean
  devices: DeviceStatus[]
  fabrics: FabricStatus[]
  labels: Record<string, string>
}

export interface TrainerStatus {
  job: string
  slot: string
  pid: number
  state: string
  step: number
  /** How many channels to other trainers travel by which way at present. */
  channels?: Record<string, number>
  eventLoopDelay?: EventLoopDelay
}

export interface NodeStatus {
  /** The node's name on its machine. */
  node: string
  peer: string
  /** Hash of the mesh's founding public key. */
  mesh: string
  version: string
  addresses: string[]
  members: MemberStatus[]
  devices: DeviceStatus[]
  fabrics: FabricStatus[]
  /** The trainers of this node. */
  trainers: TrainerStatus[]
  eventLoopDelay: EventLoopDelay
  jobs: JobStatus[]
}

/** What `--fabric` may name. */
export type FabricChoice = 'shm' | 'rdma' | 'stream'

export interface JobSpec {
  /** A model of the zoo, options after a question mark; or the path of a model's file, which then travels with the job. */
  model: string
  /** What is minimised: `softmax-ce`, `soft-ce`, `bce`, `mse`, `l1`, `huber`, or `output:NAME`, an output of the model. @default softmax-ce */
  loss?: string
  /** File of values to begin with, which travels with the job: a `.caffemodel` for a net of Caffe's. */
  weights?: string
  /** Parameters that stay as they are: names, with * for any characters and ? for one. */
  freeze?: string[]
  data: string
  strategy: string
  /** What the strategy takes, by name; it names its own in docs/strategies.md. */
  strategyOptions?: Record<string, string | number | boolean>
  /** How many trainers, or as many as the mesh has free. */
  trainers: number | 'all'
  epochs: number
  /** Steps after which the job is over, where the epochs do not end it before. An asynchronous job trains as many epochs as they need. */
  steps?: number
  /** Samples a batch of each trainer; exactly one of `batch` and `globalBatch` is given. */
  batch?: number
  /** Samples a step of all trainers together, split anew when the group changes. */
  globalBatch?: number
  /**
   * Batches a step, computed one after the other, their gradients summed; a step takes that many times `batch`, or `globalBatch` in as
   * many pieces a trainer. @default 1
   */
  accumulate?: number
  lr: number
  optimizer: OptimizerSpec
  schedule: Schedule
  seed: number
  onSplit: 'wait' | 'continue'
  /** Wait for trainers that the mesh does not have yet, instead of refusing. */
  wait: boolean
  /** Steps between two `metrics` events of a trainer. */
  logEvery: number
  /** Multiply the rate by the group's size over its first size whenever it changes. */
  scaleLr: boolean
  /** Steps between two checkpoints; without it at the end of each epoch. */
  checkpointEvery?: number
  /** Steps between two scores of the test data; without it at the end of each epoch, as in asynchronous jobs always. */
  evaluateEvery?: number
  /** Score the test data before the first step too, where `evaluateEvery` is given. */
  evaluateFirst?: boolean
  /** Test samples that a score is made of, the first ones. @default all */
  evaluateSamples?: number
  /** Folder of an earlier run, or of one of its checkpoints, to go on from. */
  resume?: string
  name?: string
}

export type JobState = 'waiting' | 'starting' | 'running' | 'paused' | 'stopping' | 'done' | 'failed' | 'stopped'

export interface JobStatus {
  job: string
  spec: JobSpec
  state: JobState
  /** Why it waits, pauses or failed. */
  message?: string
  generation: number
  /** The trainers of the current generation, in rank order. */
  members: { trainer: string; peer: string }[]
  step: number
  epoch: number
  /** Samples committed so far, over all epochs. */
  samples: number
  /** Training samples of one epoch. */
  epochSize: number
  loss?: number
  /** Test accuracy in [0, 1] of the last evaluation, where the loss knows hits. */
  accuracy?: number
  /** Of all trainers together. */
  samplesPerSecond?: number
  /** Milliseconds since 1970, by the clock of the node that was told. */
  submitted: number
  finished?: number
}

export type JobEvent =
  | {
      type: 'metrics'
      job: string
      trainer: string
      rank: number
      step: number
      /** From 0, as everywhere below. */
      epoch: number
      /** Samples of the whole job committed so far, over all epochs, as this trainer knows. */
      samples: number
      /** Mean loss of the samples of this step on this trainer. */
      loss: number
      samplesPerSecond: number
      staleness?: number
      bytesSent: number
      /** How many channels to other trainers travel by which way: shm, rdma, stream. */
      channels?: Record<string, number>
      computeMs: number
      exchangeMs: number
      /** Milliseconds since 1970. */
      time: number
    } /** Without an accuracy where the loss knows no hits. */
  | { type: 'evaluation'; job: string; epoch: number; step: number; accuracy?: number; loss: number; worstLocalAccuracy?: number }
  | { type: 'generation'; job: string; generation: number; members: string[]; reason: string }
  | { type: 'epoch'; job: string; epoch: number; committed: number; duplicated: number }
  | { type: 'paused'; job: string; missing: string[]; message: string }
  | { type: 'resumed'; job: string }
  | { type: 'state'; job: string; state: JobState; message?: string }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string; node: string }
  | { type: 'checkpoint'; job: string; step: number; name: string }

/** One file of a job's run: a checkpoint's part, a manifest, the exported model. */
export interface JobFile {
  /** Relative, with forward slashes: `model.onnx`, `checkpoints/000123/manifest.json`. */
  name: string
  bytes: number
  cid: string
}

/** Whether a job in `state` will not run again by itself. */
export function isFinal(state: JobState): boolean {
  return state === 'done' || state === 'failed' || state === 'stopped'
}

export interface CallOptions {
  signal?: AbortSignal
}

export interface NodeService {
  status(options?: CallOptions): Promise<NodeStatus>
  /** @throws InvalidParametersError when the mesh lacks what the job asks for and `wait` is false */
  submit(spec: JobSpec, options?: CallOptions): Promise<{ job: string; warnings: string[] }>
  jobs(options?: CallOptions): Promise<JobStatus[]>
  /** @throws NotFoundError */
  job(id: string, options?: CallOptions): Promise<JobStatus>
  /**
   * What the whole job reports, from every node, oldest first, beginning with event number `from`. Ends after the `state` event of
   * a final state, or, when `live` is false, after what has been reported so far.
   */
  follow(id: string, options?: CallOptions & { from?: number; live?: boolean }): AsyncIterable<JobEvent>
  /** Checkpoints the job, then stops it; resolves once it has stopped. */
  stop(id: string, options?: CallOptions): Promise<void>
  files(id: string, options?: CallOptions): Promise<JobFile[]>
  file(id: string, name: string, options?: CallOptions): AsyncIterable<Uint8Array>
  /** @param options.ttl - life of the invite, ms */
  invite(options: CallOptions & { ttl: number }): Promise<string>
  /** Leaves the mesh for good: signs its leave, forgets the saved membership, closes. */
  leave(options?: CallOptions): Promise<void>
  /** Stops its trainers and closes; the membership stays saved. */
  close(): Promise<void>
}

/** What `startNode` takes. */
export interface StartNodeOptions extends CallOptions {
  /** Folder that holds this node's identity, membership and promises. @default the first free one under the XDG state folder */
  stateDir?: string
  /** GPUs to train on; refused when fewer are visible. @default all of them */
  gpus?: number
  /** CPU slots to train on. @default 0 with a GPU, else 1 */
  cpus?: number
  invite?: string
  /** Path of a shared key file. */
  keyFile?: string
  /** Multiaddrs of members to dial. */
  peers?: string[]
  /** Multiaddrs to listen on. @default TCP on a free port of every interface */
  listen?: string[]
  labels?: Record<string, string>
  /** Folders that `--data` may name paths in. @default any folder */
  dataRoots?: string[]
  /** First and last port that bulk endpoints may listen on. */
  bulkPorts?: [number, number]
  /** Ways that gradients may take besides encrypted streams: the memory of one host, RDMA. @default all */
  fabrics?: FabricChoice[]
  /** Look for peers on the local network. @default true */
  mdns?: boolean
  logger?: Logger
}

/** What `startEmbedded` takes: a mesh of one node on the loopback interface, for the life of this process. */
export interface StartEmbeddedOptions extends CallOptions {
  /** CPU slots, or GPUs where there are as many. */
  trainers: number
  dataRoots?: string[]
  /** As of a node. */
  fabrics?: FabricChoice[]
  logger?: Logger
}

/** A node in this process. */
export interface RunningNode extends NodeService {
  /** Peer id. */
  readonly peer: string
  /** Makes a kind of actor known to this node. */
  register(type: ActorType<any>): void
  /** The address of an actor anywhere on the mesh; the first call activates it. */
  at<Calls extends CallTable, Events extends EventTable>(
    type: ActorType<Calls, Events>,
    key: string,
    options?: { node?: string }
  ): Handle<Calls, Events>
  /** Absolute; its last part is the node's name on this machine. */
  readonly stateDir: string
  /** Names of running nodes that were tried before this one's. */
  readonly taken: string[]
  /** Whether this start founded a mesh. */
  readonly founded: boolean
  /** What the user should know, one line each: another mesh seen on the network, an unusable device. */
  readonly warnings: string[]
  /** Resolves when the node has ended, through `close`, `leave` or the removal from its mesh; rejects when it failed. */
  readonly closed: Promise<void>
}
