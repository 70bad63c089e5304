import type { Fabric, GpuQuery } from '../../mesh/index.ts'
import type { NativeReport } from '../../native/index.ts'

/** How one thing stands: there; missing, but the rest works; missing, and nothing works. */
export type Standing = 'ok' | 'lacks' | 'broken'

/** One line of `mesh doctor`. */
export interface Finding {
  /** Stable name of what was looked at. */
  check: string
  standing: Standing
  message: string
  /** The command or step that mends it. */
  mend?: string
}

/** What the checks look at. Tests bring their own. */
export interface Machine {
  /** Of the running Node, without the `v`. */
  nodeVersion: string
  stateBase: string
  gpus(): Promise<GpuQuery>
  fabrics(): Promise<Fabric[]>
  native(): Promise<NativeReport>
  /** Runs a session on an execution provider. @returns why it fails; undefined when it runs */
  tryProvider(name: string): Promise<string | undefined>
}
