/**
 * A URL shortener on actors: a link is a fenced actor, kept on several nodes, that counts its visits; one more actor hands out names.
 * `node examples/url-shortener.ts` starts it on one node and serves http://127.0.0.1:8080; on more nodes the links spread by themselves.
 */
import { createServer } from 'node:http'
import { z } from 'zod'
import { actor, call, join, NotFoundError } from '../index.ts'

export const Link = actor('link', {
  state: z.object({ url: z.string().default(''), visits: z.number().default(0) }),
  calls: {
    set: call(z.url().max(2000), ({ state }, url) => {
      state.url = url
    }),
    visit: ({ state, key }) => {
      if (state.url === '') throw new NotFoundError(`no link is called ${key}`)
      state.visits++
      return state.url
    },
    visits: ({ state }) => state.visits
  }
})

/** Hands out short names; `idempotent` calls may skip one, and never repeat one. */
export const Names = actor('names', {
  state: z.object({ next: z.number().default(1000) }),
  calls: { next: ({ state }) => (state.next++).toString(36) }
})

export async function shorten(mesh: Pick<Awaited<ReturnType<typeof join>>, 'at'>, url: string): Promise<string> {
  const name = await mesh.at(Names, 'all').call('next', null, { idempotent: true })
  await mesh.at(Link, name).call('set', url)
  return name
}

async function serve(port: number): Promise<void> {
  const mesh = await join()
  for (const type of [Link, Names]) mesh.register(type)
  createServer(async (request, response) => {
    try {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
      const url = searchParams.get('url')
      if (pathname === '/' && url !== null) response.end(`/${await shorten(mesh, url)}\n`)
      else response.writeHead(302, { location: await mesh.at(Link, pathname.slice(1) || '-').call('visit') }).end()
    } catch (error) {
      response.writeHead(error instanceof NotFoundError ? 404 : 400).end(`${(error as Error).message}\n`)
    }
  }).listen(port, '127.0.0.1', () => console.log(`curl 'http://127.0.0.1:${port}/?url=https://example.com'`))
}

if (import.meta.main) await serve(8080)
