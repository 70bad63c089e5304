import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

/** W3C trace context as it travels with a message: `traceparent` and, where there is one, `tracestate`. */
export interface TraceHeaders {
  traceparent: string
  tracestate?: string
}

const MAX_HEADER = 512
const form = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

/**
 * The trace context that a message sent now carries: what the program's OpenTelemetry SDK says is active, else that of the message
 * whose turn this is, so that a mesh of nodes without an SDK still passes on what a caller began.
 */
export function outgoingTrace(inherited: TraceHeaders | undefined): TraceHeaders | undefined {
  const carrier: Record<string, string> = {}
  propagation.inject(context.active(), carrier)
  const { traceparent, tracestate } = carrier
  if (traceparent === undefined) return inherited
  return tracestate ? { traceparent, tracestate } : { traceparent }
}

/** What a peer sent, if it has the form it must have. */
export function checkTrace(traceparent: string, tracestate: string): TraceHeaders | undefined {
  if (!form.test(traceparent)) return undefined
  return tracestate !== '' && tracestate.length <= MAX_HEADER ? { traceparent, tracestate } : { traceparent }
}

/** Runs a turn inside a span whose parent is the caller's, when the program has registered an SDK. */
export function traced<T>(name: string, headers: TraceHeaders | undefined, run: () => Promise<T>): Promise<T> {
  if (headers === undefined) return run()
  const parent = propagation.extract(context.active(), headers)
  return trace.getTracer('gradmesh').startActiveSpan(name, { kind: SpanKind.SERVER }, parent, async span => {
    try {
      return await run()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
      throw error
    } finally {
      span.end()
    }
  })
}
