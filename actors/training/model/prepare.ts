import { Worker } from 'node:worker_threads'
import { AbortedError, CrashedError, fromWireError, type WireError } from '../../../common/index.ts'
import { moduleUrl } from '../../runtime/index.ts'
import type { SnapshotRequest } from './restore.ts'
import type { ModelContext } from './source.ts'

/** What the thread that reads a model is started with. */
export interface PrepareData {
  /** Its model is a path on this machine, or a name. */
  context: ModelContext
  /** Where the files are written that travel with the job. */
  folder: string
  snapshot?: SnapshotRequest
}

export interface PrepareOptions {
  snapshot?: SnapshotRequest
  signal?: AbortSignal
}

export type PrepareReply = { names: string[] } | { error: WireError }

/**
 * Reads and checks the model of a job that is about to be submitted, in a thread of its own, because a large one takes seconds.
 *
 * @param folder - where the files are written that the job carries
 * @param options.snapshot - what a checkpoint is to be made of
 * @returns their names; none for a model of the zoo
 * @throws InvalidParametersError, MalformedError, TooLargeError naming the file and what is wrong
 */
export async function prepareModel(context: ModelContext, folder: string, options: PrepareOptions = {}): Promise<string[]> {
  const { signal, snapshot } = options
  signal?.throwIfAborted()
  const data: PrepareData = { context, folder, ...(snapshot === undefined ? {} : { snapshot }) }
  const worker = new Worker(moduleUrl(import.meta.url, './prepare-worker'), { workerData: data })
  const done = Promise.withResolvers<PrepareReply>()
  const abort = () => done.reject(new AbortedError('reading the model was aborted'))
  worker.on('message', (reply: PrepareReply) => done.resolve(reply))
  worker.on('error', error => done.reject(new CrashedError(`the model cannot be read: ${error instanceof Error ? error.message : error}`)))
  worker.on('exit', code => done.reject(new CrashedError(`the thread that reads the model ended with code ${code}`)))
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const reply = await done.promise
    if ('error' in reply) throw fromWireError(reply.error)
    return reply.names
  } finally {
    signal?.removeEventListener('abort', abort)
    await worker.terminate()
  }
}
