import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Folder of Caffe's own model files, where it lies beside the project; they are no part of it. */
export const caffeFolder: string | undefined = find(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))))

function find(folder: string): string | undefined {
  for (let at = folder, up = 0; up < 4; at = dirname(at), up++) {
    const candidate = join(at, 'shared', 'caffe')
    if (existsSync(join(candidate, 'mnist', 'lenet_train_test.prototxt'))) return candidate
  }
  return undefined
}

/** Options of a test that needs those files: it says that it is skipped where they are not. */
export const needsCaffeFiles = caffeFolder === undefined ? { skip: "Caffe's own model files do not lie beside the project" } : {}

export function caffeFile(name: string): string {
  return readFileSync(join(caffeFolder!, name), 'utf8')
}
