import type { NodeService, RunningNode, StartEmbeddedOptions, StartNodeOptions } from '../actors/training/service-types.ts'
import type { FoundNode } from './control/discover.ts'
import type { Output, Sink } from './terminal/output.ts'

/** What the command asks of a node in its own process. */
export type LocalNode = NodeService & Pick<RunningNode, 'stateDir' | 'taken' | 'founded' | 'warnings' | 'closed'>

/** All that the command has from outside. Tests bring their own. */
export interface World {
  stdout: Sink
  stderr: Sink
  env: NodeJS.ProcessEnv
  /** What relative paths on the command line start from. */
  cwd: string
  /** Monotonic ms. */
  now(): number
  /** The time of day, for names and records. */
  date(): Date
  /** Calls `handler` each time the user asks this process to end. @returns what undoes it */
  onInterrupt(handler: () => void): () => void
  startNode(options: StartNodeOptions): Promise<LocalNode>
  startEmbedded(options: StartEmbeddedOptions): Promise<LocalNode>
}

/** What every subcommand is built with. */
export interface Context extends World {
  output: Output
  /** What the process ends with. */
  exitCode: number
  /** Folder that holds the state folders of this user's nodes. */
  stateBase: string
  /** The node to talk to, by `--node` or the first one that answers. @throws NotFoundError when there is none */
  node(name?: string): Promise<FoundNode>
}
