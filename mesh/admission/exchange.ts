import type { Stream } from '@libp2p/interface'
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils'
import { AdmissionError, GradmeshError, UnreachableError } from '../../common/index.ts'
import type { Authority } from './authority.ts'
import { type CertificateChain, MAX_CHAIN_BYTES } from './certificate.ts'
import { Hello, Verdict } from './pb/admission.ts'

/** The first protocol of every connection, and the only one until both sides have accepted each other. */
export const ADMISSION_PROTOCOL = '/gradmesh/admission/1.0.0'

/** Largest message of the exchange, bytes. */
const MAX_MESSAGE = 2 * MAX_CHAIN_BYTES + 4096

/** What an exchange told. */
export interface Admitted {
  chain: CertificateChain
  /** A certificate that the other side issued for this process. */
  issued?: Uint8Array
}

/**
 * The dialer's half: shows who we are, checks who they are.
 *
 * @param accept - called when the other side is accepted, before it learns so: from here on its streams are answered
 * @throws AdmissionError when either side refuses the other
 */
export async function requestAdmission(
  stream: Stream,
  peer: string,
  authority: Authority,
  accept: (chain: CertificateChain) => void,
  signal: AbortSignal
): Promise<Admitted> {
  const lp = lpStream(stream, { maxDataLength: MAX_MESSAGE, maxBufferSize: 2 * MAX_MESSAGE })
  const { mesh, certificate, claim } = authority.credentials()
  await lp.write(Hello.encode({ mesh, certificate: owned(certificate), grant: owned(claim?.grant), proof: owned(claim?.proof) }), {
    signal
  })
  const verdict = await readVerdict(lp, signal)
  if (!verdict.accepted) throw refusal(peer, verdict)
  let chain: CertificateChain
  try {
    chain = authority.verify(verdict.certificate, peer)
  } catch (error) {
    await refuse(lp, error, signal)
    throw error
  }
  accept(chain)
  await writeVerdict(lp, { accepted: true }, signal)
  // The listener's last word: it counts us as admitted now, and what we open next is answered.
  const welcome = await readVerdict(lp, signal)
  if (!welcome.accepted) throw refusal(peer, welcome)
  void stream.close().catch(() => {})
  return { chain, issued: verdict.issued.byteLength > 0 ? verdict.issued : undefined }
}

/**
 * The listener's half: checks who they are, and admits a joiner who holds an invite.
 *
 * @throws AdmissionError when either side refuses the other
 */
export async function answerAdmission(
  stream: Stream,
  peer: string,
  authority: Authority,
  accept: (chain: CertificateChain) => void,
  signal: AbortSignal
): Promise<Admitted> {
  const lp = lpStream(stream, { maxDataLength: MAX_MESSAGE, maxBufferSize: 2 * MAX_MESSAGE })
  const hello = await readMessage(lp, signal, bytes => Hello.decode(bytes))
  let chain: CertificateChain
  let issued: Uint8Array | undefined
  try {
    ;({ chain, issued } = judge(hello, peer, authority))
  } catch (error) {
    await refuse(lp, error, signal)
    throw error
  }
  await writeVerdict(lp, { accepted: true, certificate: owned(authority.chain()?.bytes), issued: owned(issued) }, signal)
  const answer = await readVerdict(lp, signal)
  if (!answer.accepted) throw refusal(peer, answer)
  accept(chain)
  await writeVerdict(lp, { accepted: true }, signal)
  void stream.close().catch(() => {})
  return { chain }
}

function judge(hello: Hello, peer: string, authority: Authority): { chain: CertificateChain; issued?: Uint8Array } {
  if (authority.chain() === undefined) throw new UnreachableError('this node is itself still joining; try again in a moment')
  if (hello.mesh !== authority.mesh) {
    throw new AdmissionError(
      `mesh ${clean(hello.mesh).slice(0, 64)} was asked for, this is mesh ${authority.mesh}; join with an invite of it`
    )
  }
  if (hello.certificate.byteLength > 0) {
    const chain = authority.verify(hello.certificate, peer)
    return { chain, issued: authority.renew(chain) }
  }
  if (hello.grant.byteLength === 0)
    throw new AdmissionError('neither a certificate nor an invite was shown; join with an invite of this mesh')
  const chain = authority.admit(hello.grant, hello.proof, peer)
  return { chain, issued: chain.bytes }
}

/** What the other side's refusal means here. */
function refusal(peer: string, { reason, later }: Verdict): GradmeshError {
  const message = `${peer} refused this node: ${clean(reason)}`
  return later ? new UnreachableError(message) : new AdmissionError(message)
}

/** The mesh that the other side of a refused connection belongs to, when that is why. */
export function otherMesh(error: Error): string | undefined {
  return /refused this node: mesh \w+ was asked for, this is mesh (\w+);/.exec(error.message)?.[1]
}

async function refuse(lp: LengthPrefixedStream<Stream>, error: unknown, signal: AbortSignal): Promise<void> {
  const reason = error instanceof GradmeshError ? error.message : 'the certificate is malformed'
  await writeVerdict(lp, { accepted: false, reason, later: error instanceof UnreachableError }, signal).catch(() => {})
}

async function writeVerdict(lp: LengthPrefixedStream<Stream>, verdict: Partial<Verdict>, signal: AbortSignal): Promise<void> {
  await lp.write(Verdict.encode(verdict), { signal })
}

function readVerdict(lp: LengthPrefixedStream<Stream>, signal: AbortSignal): Promise<Verdict> {
  return readMessage(lp, signal, bytes => Verdict.decode(bytes))
}

async function readMessage<T>(lp: LengthPrefixedStream<Stream>, signal: AbortSignal, decode: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = (await lp.read({ signal })).subarray()
  try {
    return decode(bytes)
  } catch (error) {
    throw new AdmissionError('the other side does not speak admission', { cause: error })
  }
}

/** The generated codecs ask for arrays over an ArrayBuffer, which all of ours are. */
function owned(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  return bytes as Uint8Array<ArrayBuffer> | undefined
}

/** Text from a peer, for one line of a log. */
function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 300)
}
