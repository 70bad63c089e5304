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
  env: NodeJS.ProcessEnv
  platform: NodeJS.Platform
  /** Of the running Node, without the `v`. */
  nodeVersion: string
  stateBase: string
  /** Runs a program. @returns its stdout; undefined when it is absent or fails */
  output(program: string, args: string[]): Promise<string | undefined>
}
