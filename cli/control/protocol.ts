import { join } from 'node:path'
import { InvalidParametersError } from '../../common/index.ts'

/** Name of the socket in a node's state folder. */
export const SOCKET = 'control.sock'

/** Folders beside the nodes' own that hold only the socket of a mesh which lives and ends with a `mesh train`. */
export const EMBEDDED = /^embedded-\d+$/

/** Version of the requests; the first part of every path. */
export const API = '/v1'

/** Largest body of a request, bytes. */
export const MAX_REQUEST = 256 * 1024
/** Largest answer that is not a stream, bytes. */
export const MAX_ANSWER = 64 * 1024 * 1024
/** Largest line of a stream of events, bytes. */
export const MAX_EVENT = 1024 * 1024

/** Connections one node serves at a time. */
export const MAX_CONNECTIONS = 64

/** `sun_path` of Linux holds 108 bytes with its final zero, that of macOS 104. */
const MAX_SOCKET_PATH = process.platform === 'darwin' ? 103 : 107

/**
 * Path of the control socket of the node whose state is in `folder`.
 *
 * @throws InvalidParametersError when the kernel takes no socket path as long as that
 */
export function socketPath(folder: string): string {
  const path = join(folder, SOCKET)
  const length = Buffer.byteLength(path)
  if (length > MAX_SOCKET_PATH) {
    throw new InvalidParametersError(
      `the state folder's path is too long for its control socket (${path}: ${length} bytes of ${MAX_SOCKET_PATH}); give a shorter --state-dir or XDG_STATE_HOME`
    )
  }
  return path
}
