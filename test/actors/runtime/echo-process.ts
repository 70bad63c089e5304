import { type Handlers, type ProcessContext, serve } from '../../../actors/runtime/index.ts'
import { type EchoCalls, Relay } from './echo.ts'

/** The process of an echo actor, for tests. */
serve((context: ProcessContext<{ greeting: string }>) => ({
  create: () => null,
  calls: {
    echo: (_, text) => `${context.argument.greeting} ${text}`,
    pid: () => process.pid,
    crash: () => process.exit(3),
    relay: (_, text) => context.at(Relay, 'r').call('upper', text),
    fail: () => {
      throw new RangeError('out of range')
    },
    hang: ({ signal }) => new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  } satisfies Handlers<null, EchoCalls>
}))
