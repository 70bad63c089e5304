import { AdmissionError, type Logger } from '../common/index.ts'
import { type Authority, createAuthority, foundMesh, keyAuthority, parseInvite, readKeyFile, savedAuthority } from './admission/index.ts'
import type { Identity } from './identity/index.ts'
import type { KeyValue } from './state/index.ts'

/** By what a node belongs to its mesh. */
export type StandingSource = 'invite' | 'saved' | 'key' | 'founded'

export interface Standing {
  source: StandingSource
  authority: Authority
  /** Where members may be, by the invite. */
  addresses: string[]
  warnings: string[]
}

export interface StandingInit {
  identity: Identity
  /** What earlier runs saved, see {@link saveStanding}. */
  membership: KeyValue
  invite?: string
  keyFile?: string
  logger: Logger
  /** Wall clock, ms. */
  wallClock: () => number
}

/**
 * How this node comes to its mesh: an invite, else the membership that an earlier run saved, else a shared key file, else a new mesh.
 * An invite to the mesh that the node is already a member of only names where the others are.
 *
 * @throws AdmissionError when what is given, or saved, is not valid
 */
export function takeStanding(init: StandingInit): Standing {
  const { identity, invite, keyFile, membership, wallClock } = init
  const mesh = text(membership.get('mesh'))
  const saved = () => savedAuthority(identity, mesh!, membership.get('certificate') ?? new Uint8Array(0), wallClock)
  const warnings: string[] = []

  if (invite !== undefined && invite.trim() !== '') {
    // Read as if it had not expired: to a member its age does not matter.
    const known = parseInvite(invite, 0)
    if (known.mesh === mesh) {
      const authority = attempt(saved)
      if (authority !== undefined) return { source: 'saved', authority, addresses: known.addresses, warnings }
    }
    const parsed = parseInvite(invite, wallClock())
    if (mesh !== undefined && mesh !== parsed.mesh)
      warnings.push(`the invite is to mesh ${parsed.mesh}: the membership of ${mesh} is given up`)
    const authority = createAuthority({ identity, mesh: parsed.mesh, invite: parsed, wallClock })
    return { source: 'invite', authority, addresses: parsed.addresses, warnings }
  }
  const key = keyFile === undefined ? undefined : keyAuthority(identity, readKeyFile(keyFile), wallClock)
  if (mesh !== undefined && mesh !== key?.mesh) {
    if (key !== undefined) warnings.push(`this node is a member of mesh ${mesh}; run 'mesh leave' before it can join that of ${keyFile}`)
    try {
      return { source: 'saved', authority: saved(), addresses: [], warnings }
    } catch (error) {
      throw new AdmissionError(
        `the saved membership is not valid: ${(error as Error).message}; join with --invite, or 'mesh leave' first`,
        {
          cause: error
        }
      )
    }
  }
  if (key !== undefined) return { source: 'key', authority: key, addresses: [], warnings }
  return { source: 'founded', authority: foundMesh(identity, wallClock), addresses: [], warnings }
}

/** Keeps the node's membership for its next run. */
export function saveStanding(membership: KeyValue, authority: Authority): void {
  const chain = authority.chain()
  if (chain === undefined) return
  membership.put('mesh', new TextEncoder().encode(authority.mesh))
  membership.put('certificate', chain.bytes)
}

/** The next run will know of no mesh. */
export function forgetStanding(membership: KeyValue): void {
  membership.delete('mesh')
  membership.delete('certificate')
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}
