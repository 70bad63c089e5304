import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { isFinal, type JobSpec, type NodeService } from '../../actors/training/service-types.ts'
import {
  GradmeshError,
  InvalidParametersError,
  NotFoundError,
  TooLargeError,
  toWireError,
  UnreachableError,
  VersionError
} from '../../common/index.ts'
import { API, MAX_CONNECTIONS, MAX_REQUEST, socketPath } from './protocol.ts'

export interface ControlServer {
  /** Path of the socket. */
  path: string
  /** Ends the streams in flight and removes the socket. */
  close(): Promise<void>
}

export interface ControlServerInit {
  /** The node's state folder, which this process holds the lock of: a socket found there is a dead process's. */
  folder: string
  service: NodeService
}

type Route = (args: { request: IncomingMessage; response: ServerResponse; url: URL; parts: string[]; signal: AbortSignal }) => Promise<void>

/**
 * Offers a node's service to the commands of the same user on the same machine: HTTP over a Unix socket of mode 0600, answers as
 * JSON, events as JSON lines, errors as `WireError`.
 */
export async function serveControl({ folder, service }: ControlServerInit): Promise<ControlServer> {
  const path = socketPath(folder)
  await rm(path, { force: true })
  const routes = routesOf(service)
  const closing = new AbortController()
  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 60_000 }, (request, response) => {
    void answer(routes, request, response, closing.signal)
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // The folder is 0700 already; the mask keeps the socket itself closed from its first moment on.
    const mask = process.umask(0o177)
    try {
      server.listen(path, () => resolve())
    } finally {
      process.umask(mask)
    }
  })
  server.removeAllListeners('error')
  server.on('error', () => {})
  await chmod(path, 0o600)
  return {
    path,
    async close() {
      closing.abort()
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeIdleConnections()
      // Streams end by the abort; what has not ended by then is cut.
      const cut = setTimeout(() => server.closeAllConnections(), 1000)
      await closed
      clearTimeout(cut)
      await rm(path, { force: true })
    }
  }
}

function routesOf(service: NodeService): Map<string, Route> {
  return new Map<string, Route>([
    ['GET ping', async ({ response }) => json(response, { pid: process.pid })],
    ['GET status', async ({ response, signal }) => json(response, await service.status({ signal }))],
    ['GET jobs', async ({ response, signal }) => json(response, await service.jobs({ signal }))],
    ['GET jobs/*', async ({ response, parts, signal }) => json(response, await service.job(parts[1] as string, { signal }))],
    [
      'POST jobs',
      async ({ request, response, signal }) => json(response, await service.submit((await body(request)) as JobSpec, { signal }))
    ],
    ['GET jobs/*/events', async args => events(service, args)],
    [
      'POST jobs/*/stop',
      async ({ response, parts, signal }) => {
        await service.stop(parts[1] as string, { signal })
        json(response, {})
      }
    ],
    ['GET jobs/*/files', async ({ response, parts, signal }) => json(response, await service.files(parts[1] as string, { signal }))],
    [
      'GET jobs/*/files/*',
      async ({ response, parts, signal }) => stream(response, service.file(parts[1] as string, parts[3] as string, { signal }))
    ],
    [
      'POST invite',
      async ({ request, response, signal }) => {
        const { ttl } = (await body(request)) as { ttl?: unknown }
        if (typeof ttl !== 'number' || !(ttl > 0)) throw new InvalidParametersError('an invite takes a ttl in milliseconds')
        json(response, { invite: await service.invite({ ttl, signal }) })
      }
    ],
    [
      'POST leave',
      async ({ response }) => {
        // The end of the node ends this server, too, and must not abort what brought it about.
        await service.leave()
        json(response, {})
      }
    ]
  ])
}

async function answer(routes: Map<string, Route>, request: IncomingMessage, response: ServerResponse, closing: AbortSignal): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    const url = new URL(request.url ?? '/', 'http://node')
    const [, version, ...encoded] = url.pathname.split('/')
    if (`/${version}` !== API)
      throw new VersionError(`this node's control socket speaks ${API}, not /${version}; use the same version of mesh on both`)
    const parts = encoded.map(part => decodeURIComponent(part))
    const pattern = parts.map((part, i) => (i % 2 === 1 ? '*' : part)).join('/')
    const route = routes.get(`${request.method} ${pattern}`)
    if (route === undefined) throw new NotFoundError(`this node's control socket has no ${request.method} ${url.pathname}`)
    await route({ request, response, url, parts, signal: AbortSignal.any([gone.signal, closing]) })
  } catch (error) {
    if (gone.signal.aborted) return
    refuse(response, closing.aborted ? closingError() : error)
  }
}

/** Events as JSON lines; an error is a last line of its own. */
async function events(service: NodeService, { response, url, parts, signal }: Parameters<Route>[0]): Promise<void> {
  const from = Number(url.searchParams.get('from') ?? 0)
  const live = url.searchParams.get('live') !== 'false'
  if (!Number.isSafeInteger(from) || from < 0) throw new InvalidParametersError('from is the number of an event, from 0')
  const lines = async function* (): AsyncGenerator<string> {
    try {
      for await (const event of service.follow(parts[1] as string, { from, live, signal })) {
        yield `${JSON.stringify(event)}\n`
        if (event.type === 'state' && isFinal(event.state)) return
      }
    } catch (error) {
      yield `${JSON.stringify({ type: 'error', error: toWireError(signal.aborted ? closingError() : error) })}\n`
    }
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders()
  await pipeline(lines(), response)
}

/** Bytes of a file. The status waits for the first of them, so that a name that is not there is refused as such. */
async function stream(response: ServerResponse, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]()
  const first = await iterator.next()
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  const rest = async function* () {
    if (!first.done) yield first.value
    for (;;) {
      const next = await iterator.next()
      if (next.done) return
      yield next.value
    }
  }
  // A failure after the first chunk destroys the connection: the reader sees a stream cut short, never a short file.
  await pipeline(rest(), response)
}

async function body(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_REQUEST) throw new TooLargeError(`a request has at most ${MAX_REQUEST} bytes`)
    chunks.push(chunk)
  }
  try {
    const value = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Said below.
  }
  throw new InvalidParametersError('the body of the request is no JSON object')
}

/** What aborted a call when it was not its caller. */
function closingError(): UnreachableError {
  return new UnreachableError('the node is closing; jobs of the mesh go on elsewhere')
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const known = error instanceof GradmeshError
  const status = !known ? 500 : error instanceof NotFoundError ? 404 : error.overloaded ? 503 : error.exitCode === 2 ? 400 : 500
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: toWireError(error) }))
}
