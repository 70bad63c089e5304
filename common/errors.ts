/** Options every error of this project takes. */
export interface GradmeshErrorOptions extends ErrorOptions {
  /** Whether the same call may succeed later without a change on the caller's side. */
  retryable?: boolean
}

/**
 * Base of the closed set of errors. `name` is stable and travels between processes; `message` is one line that says what to do.
 */
export class GradmeshError extends Error {
  static override name = 'GradmeshError'
  override name = 'GradmeshError'
  /** The same call may succeed later. */
  readonly retryable: boolean
  /** The receiver refused because it is full. */
  readonly overloaded: boolean = false
  /** What the command exits with when this error ends it. */
  readonly exitCode: number = 1

  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, options)
    this.retryable = options.retryable ?? false
  }
}

/** A flag, file or value that a user or caller gave is wrong. Nothing was executed. */
export class InvalidParametersError extends GradmeshError {
  static override name = 'InvalidParametersError'
  override name = 'InvalidParametersError'
  override readonly exitCode = 2
}

/** Input bytes (a file, a frame, a record) do not have the form they must have. The message names the input and the position. */
export class MalformedError extends GradmeshError {
  static override name = 'MalformedError'
  override name = 'MalformedError'
  override readonly exitCode = 2
}

/** No path to the peer. Nothing was sent. */
export class UnreachableError extends GradmeshError {
  static override name = 'UnreachableError'
  override name = 'UnreachableError'
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** The request did not reach its receiver. Nothing was executed. */
export class NotDeliveredError extends GradmeshError {
  static override name = 'NotDeliveredError'
  override name = 'NotDeliveredError'
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** The request was sent and no reply came: it may or may not have been executed. */
export class OutcomeUnknownError extends GradmeshError {
  static override name = 'OutcomeUnknownError'
  override name = 'OutcomeUnknownError'
}

/** The receiver's queue is full. Nothing was executed; try again later or slow down. */
export class OverloadedError extends GradmeshError {
  static override name = 'OverloadedError'
  override name = 'OverloadedError'
  override readonly overloaded = true
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** The sender belongs to an older generation or epoch. It must stop and learn the current one. */
export class FencedError extends GradmeshError {
  static override name = 'FencedError'
  override name = 'FencedError'
}

/** The peer is not, or no longer, admitted to this mesh. */
export class AdmissionError extends GradmeshError {
  static override name = 'AdmissionError'
  override name = 'AdmissionError'
  override readonly exitCode = 2
}

/** The other side speaks another version of a protocol. */
export class VersionError extends GradmeshError {
  static override name = 'VersionError'
  override name = 'VersionError'
}

/** No actor, method, job or record has that name. */
export class NotFoundError extends GradmeshError {
  static override name = 'NotFoundError'
  override name = 'NotFoundError'
  override readonly exitCode = 2
}

/** A value is larger than the limit named in the message. */
export class TooLargeError extends GradmeshError {
  static override name = 'TooLargeError'
  override name = 'TooLargeError'
  override readonly exitCode = 2
}

/** The deadline passed before a reply came. */
export class DeadlineError extends GradmeshError {
  static override name = 'DeadlineError'
  override name = 'DeadlineError'
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** A majority of the voters of a group does not answer; nothing was decided. */
export class NoQuorumError extends GradmeshError {
  static override name = 'NoQuorumError'
  override name = 'NoQuorumError'
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** The caller's signal was aborted. */
export class AbortedError extends GradmeshError {
  static override name = 'AbortedError'
  override name = 'AbortedError'
}

/** The process behind an actor ended while it had work. */
export class CrashedError extends GradmeshError {
  static override name = 'CrashedError'
  override name = 'CrashedError'
  constructor(message: string, options: GradmeshErrorOptions = {}) {
    super(message, { retryable: true, ...options })
  }
}

/** A chain of calls came back to an actor that is in the middle of a turn of that chain. Nothing was executed. */
export class DeadlockError extends GradmeshError {
  static override name = 'DeadlockError'
  override name = 'DeadlockError'
}

/** Another process holds the lock of this folder, port or device. */
export class InUseError extends GradmeshError {
  static override name = 'InUseError'
  override name = 'InUseError'
  override readonly exitCode = 2
}

const classes = [
  GradmeshError,
  InvalidParametersError,
  MalformedError,
  UnreachableError,
  NotDeliveredError,
  OutcomeUnknownError,
  OverloadedError,
  FencedError,
  AdmissionError,
  VersionError,
  NotFoundError,
  TooLargeError,
  DeadlineError,
  NoQuorumError,
  AbortedError,
  CrashedError,
  DeadlockError,
  InUseError
] as const

const byName = new Map<string, (typeof classes)[number]>(classes.map(c => [c.name, c]))

/** Every error name there is, for documentation and tests. */
export const errorNames: readonly string[] = classes.map(c => c.name)

/** What of an error travels between processes. */
export interface WireError {
  name: string
  message: string
  retryable: boolean
}

/** The part of `error` that may leave this process: no stack, no foreign class. */
export function toWireError(error: unknown): WireError {
  if (error instanceof GradmeshError) return { name: error.name, message: error.message, retryable: error.retryable }
  const message = error instanceof Error ? error.message : String(error)
  return { name: 'GradmeshError', message: message.slice(0, 2000), retryable: false }
}

/** The error that `wire` describes; an unknown name becomes a plain `GradmeshError`. */
export function fromWireError(wire: WireError): GradmeshError {
  const Class = byName.get(wire.name) ?? GradmeshError
  return new Class(wire.message, { retryable: wire.retryable })
}
