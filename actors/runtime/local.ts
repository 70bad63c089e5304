import { AbortedError, InvalidParametersError, type Logger } from '../../common/index.ts'
import { Activation } from './activation.ts'
import { address } from './address.ts'
import type { ActorType, CallTable } from './definition.ts'
import { createHandle, type Handle } from './handle.ts'

/** An actor that lives in this very process, beside the one the process was started for. */
export interface HostedActor<Calls extends CallTable> extends Handle<Calls> {
  end(): Promise<void>
}

/**
 * Activates an actor in this process and gives the handle to it: a mailbox and turns of its own, reachable from here alone.
 *
 * @throws InvalidParametersError when the type runs in a process of its own
 */
export function host<Calls extends CallTable>(type: ActorType<Calls>, key: string, self: string, logger: Logger): HostedActor<Calls> {
  if (type.local === undefined) throw new InvalidParametersError(`${type.name} runs in a process of its own: spawn it`)
  const activation = new Activation(type.local, address(type.name, key), logger)
  const ended = new AbortController()
  const handle = createHandle(
    {
      call: (_, method, argument, options) => {
        const signals = [ended.signal, ...(options?.signal === undefined ? [] : [options.signal])]
        return activation.call(method, argument, self, AbortSignal.any(signals))
      }
    },
    type,
    key
  )
  return {
    ...handle,
    end: async () => {
      ended.abort(new AbortedError(`${type.name}/${key} has ended`))
      await activation.end()
    }
  }
}
