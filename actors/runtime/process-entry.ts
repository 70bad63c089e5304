import module from 'node:module'
import process from 'node:process'
import { CrashedError, silentLogger, UnreachableError } from '../../common/index.ts'
import type { Activation } from './activation.ts'
import { Moved } from './activation-types.ts'
import type { ActorType, AnyDefinition, CallTable } from './definition.ts'
import { type Callable, createHandle, type Handle, type HandleOptions } from './handle.ts'
import { type IpcMessage, IpcPeer } from './ipc.ts'
import { activationOf } from './local.ts'

/** What the process of an actor knows of the world around it. */
export interface ProcessContext<Init> {
  key: string
  /** Peer id of the node that supervises this process. */
  self: string
  argument: Init
  /** Handle of any actor of the mesh; calls go through the supervising node. */
  at<Calls extends CallTable>(type: ActorType<Calls>, key: string, options?: HandleOptions): Handle<Calls>
}

/**
 * Turns this process into the actor that its node forked it for. The process ends within milliseconds of its node: without a
 * supervisor nobody would stop it.
 *
 * @param define - makes the actor's behaviour from what the node passed on
 */
export function serve<Init>(define: (context: ProcessContext<Init>) => AnyDefinition | Promise<AnyDefinition>): void {
  if (process.send === undefined) throw new Error('this module is the process of an actor: a node starts it')
  // SIGKILL, because process.exit() waits for a worker inside a native call, which may take seconds.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // The terminal's Ctrl-C reaches the whole process group; the node decides what it means.
  process.on('SIGINT', () => {})
  let activation: Promise<Activation> | undefined
  const peer = new IpcPeer(process as any, async (call, signal) => {
    if (activation === undefined) throw new Error('called before init')
    const { method, argument, from, deadline } = call
    try {
      return await (await activation).call({ method, argument, from, signal, deadline, reply: 'as-is' })
    } catch (error) {
      throw error instanceof Moved ? new CrashedError('the actor of this process has ended') : error
    }
  })
  process.on('message', (message: IpcMessage) => {
    if (message.type !== 'init') return peer.receive(message)
    const { key, self } = message
    const callable: Callable = {
      call: (to, method, argument, options) => peer.call(to, method, argument, self, options),
      stream: unreachable,
      subscribe: unreachable
    }
    activation = Promise.resolve(
      define({ key, self, argument: message.argument as Init, at: (type, k, options) => createHandle(callable, type, k, options) })
    ).then(definition => activationOf(definition, { actor: 'process', key }, self, silentLogger, callable))
    activation.then(
      () => {
        peer.send({ type: 'ready' })
        // What was compiled is kept now: this process is usually killed, and would not come to it at its end.
        setImmediate(() => module.flushCompileCache())
      },
      error => {
        console.error(error instanceof Error ? error.message : error)
        process.exit(1)
      }
    )
  })
}

function unreachable(): never {
  throw new UnreachableError('a process of its own calls actors, and neither streams nor subscribes')
}
