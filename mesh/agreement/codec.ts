import { MalformedError, VersionError } from '../../common/index.ts'
import { type Ballot, MAX_ROUND } from './ballot.ts'
import { MAX_AGREEMENT_MESSAGE, MAX_KEY_BYTES, MAX_REPORT_BYTES, MAX_VALUE_BYTES } from './limits.ts'
import { StoredRegister, AgreementMessage as Wire, type Ballot as WireBallot } from './pb/agreement.ts'
import type { AgreementMessage, RefuseReason, Register } from './state.ts'

const kinds = ['prepare', 'promise', 'refuse', 'accept', 'accepted', 'decided', 'query', 'undecided'] as const
const reasons: readonly RefuseReason[] = ['ballot', 'voters', 'full']

/** Form of a stored register. */
const FORM = 1
const MAX_PEER_BYTES = 128
const MAX_GROUP_BYTES = 32

type Bytes = Uint8Array<ArrayBuffer>

export function encodeAgreement(message: AgreementMessage): Uint8Array {
  const wire: Partial<Wire> = { kind: kinds.indexOf(message.kind) + 1, key: message.key }
  if ('ballot' in message) wire.ballot = message.ballot
  if ('group' in message) wire.group = message.group
  if ('value' in message) wire.value = message.value as Bytes
  switch (message.kind) {
    case 'promise':
      wire.report = message.report as Bytes
      if (message.vote !== undefined) {
        wire.other = message.vote.ballot
        wire.value = message.vote.value as Bytes
      }
      break
    case 'refuse':
      wire.reason = reasons.indexOf(message.reason) + 1
      if (message.promised !== undefined) wire.other = message.promised
      break
    case 'decided':
      wire.forced = message.forced
      break
  }
  return Wire.encode(wire)
}

/** @throws MalformedError for anything but one whole message within every limit of limits.ts */
export function decodeAgreement(bytes: Uint8Array): AgreementMessage {
  if (bytes.length > MAX_AGREEMENT_MESSAGE) {
    throw new MalformedError(`agreement message of ${bytes.length} bytes: at most ${MAX_AGREEMENT_MESSAGE} are taken`)
  }
  let wire: Wire
  try {
    wire = Wire.decode(bytes)
  } catch (error) {
    throw new MalformedError(`agreement message of ${bytes.length} bytes is not protobuf of this form: ${String(error)}`, { cause: error })
  }
  const key = text(wire.key, 1, MAX_KEY_BYTES, 'key')
  const kind = kinds[wire.kind - 1]
  switch (kind) {
    case 'prepare':
      return { kind, key, ballot: ballot(wire.ballot), group: text(wire.group, 1, MAX_GROUP_BYTES, 'group') }
    case 'promise': {
      const report = part(wire.report, MAX_REPORT_BYTES, 'report')
      if (wire.other === undefined) return { kind, key, ballot: ballot(wire.ballot), report }
      return { kind, key, ballot: ballot(wire.ballot), report, vote: { ballot: ballot(wire.other), value: value(wire.value) } }
    }
    case 'refuse': {
      const reason = reasons[wire.reason - 1]
      if (reason === undefined) throw new MalformedError(`agreement refusal has reason ${wire.reason}: 1 to ${reasons.length} are known`)
      if (wire.other === undefined) return { kind, key, ballot: ballot(wire.ballot), reason }
      return { kind, key, ballot: ballot(wire.ballot), reason, promised: ballot(wire.other) }
    }
    case 'accept': {
      const group = text(wire.group, 1, MAX_GROUP_BYTES, 'group')
      return { kind, key, ballot: ballot(wire.ballot), group, value: value(wire.value) }
    }
    case 'accepted':
      return { kind, key, ballot: ballot(wire.ballot) }
    case 'decided':
      return { kind, key, value: value(wire.value), forced: wire.forced }
    case 'query':
    case 'undecided':
      return { kind, key }
    default:
      throw new MalformedError(`agreement message has kind ${wire.kind}: 1 to ${kinds.length} are known`)
  }
}

/** The durable form of a register. */
export function encodeRegister(register: Register): Uint8Array {
  const { group, promised, vote, decision } = register
  return StoredRegister.encode({
    form: FORM,
    group,
    ...(promised === undefined ? {} : { promised }),
    ...(vote === undefined ? {} : { accepted: vote.ballot, value: vote.value as Bytes }),
    ...(decision === undefined ? {} : { decided: true, value: decision.value as Bytes, forced: decision.forced })
  })
}

/**
 * @param key - for the message only
 * @throws VersionError when another version of this program wrote it; MalformedError when it is damaged
 */
export function decodeRegister(key: string, bytes: Uint8Array): Register {
  let stored: StoredRegister
  try {
    stored = StoredRegister.decode(bytes)
  } catch (error) {
    throw new MalformedError(`stored register '${key}' is damaged: ${String(error)}`, { cause: error })
  }
  if (stored.form !== FORM) {
    throw new VersionError(`stored register '${key}' has form ${stored.form}, this version reads ${FORM}: use the version that wrote it`)
  }
  const register: Register = { group: text(stored.group, 0, MAX_GROUP_BYTES, 'group') }
  if (stored.promised !== undefined) register.promised = ballot(stored.promised)
  if (stored.decided) register.decision = { value: value(stored.value), forced: stored.forced }
  else if (stored.accepted !== undefined) register.vote = { ballot: ballot(stored.accepted), value: value(stored.value) }
  return register
}

function ballot(wire: WireBallot | undefined): Ballot {
  if (wire === undefined) throw new MalformedError('agreement message has no ballot')
  if (wire.round < 1 || wire.round > MAX_ROUND) throw new MalformedError(`ballot has round ${wire.round}: give 1 to ${MAX_ROUND}`)
  return { round: wire.round, peer: text(wire.peer, 1, MAX_PEER_BYTES, 'peer'), nonce: wire.nonce }
}

function value(bytes: Uint8Array): Uint8Array {
  return part(bytes, MAX_VALUE_BYTES, 'value')
}

function text(given: string, min: number, max: number, what: string): string {
  const size = Buffer.byteLength(given)
  if (size < min || size > max) throw new MalformedError(`agreement ${what} has ${size} bytes: give ${min} to ${max}`)
  return given
}

/** A copy: the frame that `bytes` is a view of shall not live as long as the register. */
function part(bytes: Uint8Array, max: number, what: string): Uint8Array {
  if (bytes.length > max) throw new MalformedError(`agreement ${what} has ${bytes.length} bytes: at most ${max} are taken`)
  return bytes.slice()
}
