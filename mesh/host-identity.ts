import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Who can share memory by name: processes that one kernel runs and that see the same process numbers. A hash, so that it tells
 * nothing else. @returns undefined where the kernel does not say
 */
export function hostIdentity(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return createHash('sha256')
      .update(`gradmesh host ${boot} ${readlinkSync('/proc/self/ns/pid')}`)
      .digest('hex')
      .slice(0, 32)
  } catch {
    return undefined
  }
}
