import { actor, processActor } from '../../../actors/runtime/index.ts'

export type EchoCalls = {
  echo(text: string): string
  pid(argument: null): number
  crash(argument: null): never
  relay(text: string): string
  fail(argument: null): never
  hang(argument: null): never
}

export const Echo = processActor<EchoCalls>('echo', {
  process: new URL('./echo-process.ts', import.meta.url),
  restart: { intensity: 5, window: 60_000, backoff: 1 }
})

export const Relay = actor('relay', {
  create: () => null,
  calls: { upper: (_, text: string) => text.toUpperCase() }
})
