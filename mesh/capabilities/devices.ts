import { availableParallelism, cpus, totalmem } from 'node:os'
import { InvalidParametersError, type Logger, silentLogger } from '../../common/index.ts'
import { findGpus } from './nvidia.ts'
import type { Device } from './types.ts'

const MAX_SLOTS = 1024

/** Settings of {@link findDevices}. */
export interface FindDevicesOptions {
  signal?: AbortSignal
  /** GPUs to offer; refused when fewer are visible. @default all of them */
  gpus?: number
  /** CPU slots to offer. @default 0 with a usable GPU, else 1 */
  cpus?: number
  /** The execution providers of which a session has run on `device`; a device with none is not offered. */
  probe(device: Device): Promise<string[]>
  /** The vendor's tool. @default nvidia-smi */
  command?: string
  logger?: Logger
}

/**
 * The devices of this machine that trainers may hold: GPUs on which a session has run, and CPU slots.
 *
 * @throws InvalidParametersError when fewer GPUs than asked for are usable; it says what was found
 */
export async function findDevices(options: FindDevicesOptions): Promise<Device[]> {
  const log = (options.logger ?? silentLogger).child('devices')
  const { devices: found, problem } = options.gpus === 0 ? { devices: [] } : await findGpus(options)
  if (problem !== undefined) log.warn(problem)
  const gpus: Device[] = []
  for (const device of found.slice(0, options.gpus)) {
    const providers = await options.probe(device).catch(error => {
      log.warn(`no session ran on ${device.name} (${device.id}): ${(error as Error).message}`)
      return []
    })
    if (providers.length > 0) gpus.push({ ...device, providers })
  }
  if (options.gpus !== undefined && gpus.length < options.gpus) {
    const reason =
      problem ??
      (found.length === 0 ? 'nvidia-smi is not installed' : `${found.map(d => d.name).join(', ')} visible, ${gpus.length} usable`)
    throw new InvalidParametersError(
      `--gpus ${options.gpus}: ${gpus.length} GPUs can train here (${reason}); to train on the CPU give --cpus N`
    )
  }
  const slots = options.cpus ?? (gpus.length > 0 ? 0 : 1)
  if (!Number.isInteger(slots) || slots < 0 || slots > MAX_SLOTS) {
    throw new InvalidParametersError(
      `--cpus ${slots}: give a whole number from 0 to ${MAX_SLOTS}; this machine has ${availableParallelism()} cores`
    )
  }
  if (slots > availableParallelism()) log.warn(`${slots} CPU slots on ${availableParallelism()} cores: trainers will share them`)
  if (slots === 0) return gpus
  const cpu: Omit<Device, 'id'> = {
    kind: 'cpu',
    name: cpus()[0]?.model.trim().slice(0, 128) || process.arch,
    memory: totalmem(),
    providers: []
  }
  const providers = await options.probe({ id: 'cpu:0', ...cpu })
  return [...gpus, ...Array.from({ length: slots }, (_, i) => ({ id: `cpu:${i}`, ...cpu, providers }))]
}
