import { AbortedError, InvalidParametersError, type Logger, UnreachableError } from '../../common/index.ts'
import { Activation } from './activation.ts'
import { Moved } from './activation-types.ts'
import { kindOf } from './activations.ts'
import { type Address, address } from './address.ts'
import type { ActorType, AnyDefinition, CallTable } from './definition.ts'
import { type Callable, createHandle, type Handle } from './handle.ts'

/** An actor that lives in this very process, beside the one the process was started for. */
export interface HostedActor<Calls extends CallTable> extends Handle<Calls> {
  end(): Promise<void>
}

/** An activation that no node knows of: whoever made it calls it. */
export function activationOf(definition: AnyDefinition, target: Address, self: string, logger: Logger, callable: Callable): Activation {
  const { traits, behaviour } = kindOf(definition, false)
  return new Activation({
    address: target,
    traits: { ...traits, idle: Number.POSITIVE_INFINITY },
    logger,
    id: '',
    self,
    behaviour: services => behaviour({ ...services, logger, callable })
  })
}

/**
 * Activates an actor in this process and gives the handle to it: a mailbox and turns of its own, reachable from here alone. Values are
 * handed over as they are, not copied.
 *
 * @throws InvalidParametersError when the type runs in a process of its own
 */
export function host<Calls extends CallTable>(type: ActorType<Calls>, key: string, self: string, logger: Logger): HostedActor<Calls> {
  if (type.definition === undefined) throw new InvalidParametersError(`${type.name} runs in a process of its own: spawn it`)
  const ended = new AbortController()
  const unreachable = () => {
    throw new UnreachableError(`${type.name}/${key} is reachable by calls from its own process only`)
  }
  const callable: Callable = {
    call: async (_, method, argument, options) => {
      const signals = [ended.signal, ...(options?.signal === undefined ? [] : [options.signal])]
      const deadline = options?.deadline ?? Number.POSITIVE_INFINITY
      try {
        return await activation.call({ method, argument, from: self, signal: AbortSignal.any(signals), deadline, reply: 'as-is' })
      } catch (error) {
        throw error instanceof Moved ? new AbortedError(`${type.name}/${key} has ended`) : error
      }
    },
    stream: unreachable,
    subscribe: unreachable
  }
  const activation = activationOf(type.definition, address(type.name, key), self, logger, callable)
  const handle = createHandle(callable, type, key)
  return Object.assign(handle, {
    end: async () => {
      ended.abort(new AbortedError(`${type.name}/${key} has ended`))
      await activation.end()
    }
  })
}
