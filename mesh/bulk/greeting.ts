import { type GradmeshError, MalformedError, UnreachableError } from '../../common/index.ts'
import { FrameType } from './frames.ts'
import type { WireSink } from './wire.ts'

/** What the first frames of a wire led to. Each is called within the frame, so that the next one finds its new sink in place. */
export interface GreetingEvents {
  hello?(attempt: number): void
  accept?(voids: number): void
  refuse?(reason: number): void
  end(error: GradmeshError): void
}

/** Takes a wire's frames until it is decided whether the wire becomes a channel; anything but a greeting is hostile. */
export function greetingSink(peer: string, events: GreetingEvents): WireSink {
  const unexpected = () => new MalformedError(`bulk: ${peer} sent something before the channel was accepted`)
  let greeted = false
  return {
    frame(type, handle, value) {
      const event =
        type === FrameType.hello && events.hello
          ? () => events.hello?.(value)
          : type === FrameType.accept && events.accept
            ? () => events.accept?.(value)
            : type === FrameType.refuse && events.refuse
              ? () => events.refuse?.(handle)
              : undefined
      if (!event || greeted) throw unexpected()
      greeted = true
      event()
    },
    chunkStart() {
      throw unexpected()
    },
    chunkBytes() {},
    chunkEnd() {},
    end(error) {
      events.end((error as GradmeshError | undefined) ?? new UnreachableError(`bulk: ${peer} closed the stream before it accepted it`))
    }
  }
}
