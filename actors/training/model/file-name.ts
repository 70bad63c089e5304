import { basename } from 'node:path'

/** What a job calls the file that its user named by a path. */
export function modelFileName(path: string): string {
  return basename(path)
    .replace(/[^\w.-]/g, '_')
    .slice(-100)
    .replace(/^[.-]/, '_')
}
