import { execFile } from 'node:child_process'
import { AbortedError } from '../../common/index.ts'
import type { Device } from './types.ts'

const QUERY = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader,nounits']
const TIMEOUT = 10_000
const MAX_OUTPUT = 1024 * 1024
const MAX_GPUS = 256

/** What the vendor's tool was asked, and how it went. */
export interface GpuQuery {
  devices: Device[]
  /** Why there are none, when the tool is there and failed. */
  problem?: string
}

/**
 * The NVIDIA GPUs of this machine, through `nvidia-smi` when it is installed, within 10 s.
 *
 * @param command - the tool's name or path
 * @throws AbortedError
 */
export async function findGpus(options: { signal?: AbortSignal; command?: string; timeout?: number } = {}): Promise<GpuQuery> {
  const { signal, command = 'nvidia-smi', timeout = TIMEOUT } = options
  const { promise, resolve } = Promise.withResolvers<{ error: NodeJS.ErrnoException | null; stdout: string }>()
  const settings = { timeout, killSignal: 'SIGKILL' as const, maxBuffer: MAX_OUTPUT, signal, env: { ...process.env, LC_ALL: 'C' } }
  try {
    execFile(command, QUERY, settings, (error, stdout) => resolve({ error: error as NodeJS.ErrnoException | null, stdout }))
  } catch (error) {
    // Some ways of not being there are thrown at once.
    resolve({ error: error as NodeJS.ErrnoException, stdout: '' })
  }
  const { error, stdout } = await promise
  if (signal?.aborted) throw new AbortedError('looking for GPUs was aborted')
  if (error?.code === 'ENOENT') return { devices: [] }
  if (error !== null)
    return { devices: [], problem: `${command} failed: ${(stdout.trim() || error.message).split('\n')[0]!.slice(0, 200)}` }
  const devices = parseNvidiaSmi(stdout)
  return devices.length > 0 ? { devices } : { devices, problem: `${command} lists no GPU` }
}

/**
 * The GPUs in the output of `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`. Lines of another
 * form (errors, notices, `[N/A]` fields of a lost GPU) are passed over.
 */
export function parseNvidiaSmi(text: string): Device[] {
  const devices: Device[] = []
  for (const line of text.split('\n', MAX_GPUS)) {
    // A name may hold commas; the other fields never do.
    const match = /^\s*(\d{1,4})\s*,\s*((?:GPU|MIG)-[\w-]{1,64})\s*,\s*([^\s,].*?)\s*,\s*(\d{1,9})\s*$/.exec(line)
    if (match === null || devices.some(d => d.uuid === match[2])) continue
    const [, index, uuid, name, mebibytes] = match as unknown as [string, string, string, string, string]
    devices.push({
      id: `gpu:${Number(index)}`,
      uuid,
      kind: 'gpu',
      name: name.slice(0, 128),
      memory: Number(mebibytes) * 2 ** 20,
      providers: []
    })
  }
  return devices
}
