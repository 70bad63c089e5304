import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { fromWireError, GradmeshError, toWireError } from '../../../common/index.ts'
import { weightsOf } from './check.ts'
import { modelFileName } from './file-name.ts'
import { openModel, sourceOf } from './open.ts'
import type { PrepareData, PrepareReply } from './prepare.ts'
import { writeRestored } from './restore.ts'

/** A thread that collects the files of a model and opens what it collected, as every trainer will. */

const { context, folder, snapshot } = workerData as PrepareData

async function prepare(): Promise<string[]> {
  const { model } = context.spec
  const name = modelFileName(model)
  const files = (await sourceOf(model)?.collect(model, name, weightsOf(context.spec))) ?? []
  if (files.length > 0) await mkdir(folder, { recursive: true })
  for (const { name, content } of files) await writeFile(join(folder, name), content, { flush: true })
  try {
    const opened = await openModel(context, folder)
    if (snapshot !== undefined) await writeRestored(snapshot, opened)
  } catch (error) {
    // The user knows the file by the path that was given.
    if (error instanceof GradmeshError)
      throw fromWireError({ ...toWireError(error), message: error.message.replaceAll(join(folder, name), model) })
    throw error
  }
  return files.map(f => f.name)
}

let reply: PrepareReply
try {
  reply = { names: await prepare() }
} catch (error) {
  reply = { error: toWireError(error) }
}
parentPort!.postMessage(reply)
