/**
 * @packageDocumentation
 *
 * A mesh of nodes with no driver: who is in it and alive, what each has, requests and streams to any of them, records that all hold,
 * agreement of a few on one value, and bulk bytes between trainers. Nothing is spoken with a stranger but admission.
 *
 * @example
 * import { startMesh, openFirstFree } from './mesh/index.ts'
 * const { state } = openFirstFree('/tmp/gradmesh-example')
 * const mesh = await startMesh({ state, listen: ['/ip4/127.0.0.1/tcp/0'] })
 * mesh.handle('/example/hello/1.0.0', async (_, { from }) => new TextEncoder().encode(`hello ${from}`))
 * console.log(mesh.name, mesh.alive(), mesh.invite({ ttl: 3_600_000 }))
 * await mesh.stop()
 * state.close()
 */
export {
  type Authority,
  type Certificate,
  type CertificateChain,
  createAuthority,
  foundMesh,
  keyAuthority,
  newKey,
  parseInvite,
  type Role,
  readKeyFile,
  savedAuthority,
  writeKeyFile
} from './admission/index.ts'
export * from './agreement/index.ts'
export * from './bulk/index.ts'
export * from './capabilities/index.ts'
export {
  type Control,
  type ControlInit,
  createControl,
  type NotifyHandler,
  type RequestContext,
  type RequestHandler,
  type RequestOptions,
  type StreamHandler
} from './control/index.ts'
export { createHost, type Host, type HostHandler, type HostInit, type Remote } from './host.ts'
export * from './identity/index.ts'
export * from './membership/index.ts'
export { startMesh } from './mesh.ts'
export type { Mesh, MeshInit } from './mesh-types.ts'
export type { KindRule, MeshRecord, PutOptions, Records } from './records/index.ts'
export type { StandingSource } from './standing.ts'
export * from './state/index.ts'
