import { NotFoundError } from '../../../common/index.ts'
import type { Mesh } from '../../../mesh/index.ts'
import type { Lease, Runtime } from '../../runtime/index.ts'
import { Job } from '../actors.ts'
import { slotName } from '../job/job-core.ts'
import { jobRecord, type VoterReport } from '../job/records.ts'
import type { FabricChoice } from '../service-types.ts'
import { type FrozenState, Trainer } from '../trainer/definition.ts'
import type { Files } from './file-exchange.ts'
import type { LocalJob } from './local-job.ts'

/** A frozen trainer answers at once; one that does not is ended, so that it certainly stands still, ms. */
const FREEZE_DEADLINE = 1500

export interface LocalTrainersInit {
  mesh: Mesh
  runtime: Runtime
  files: Files
  dataRoots?: string[]
  bulkPorts?: [number, number]
  fabrics?: FabricChoice[]
  bulkListen(): string[]
}

/** The trainer processes of this node. The node's ledger gives each a device of its own, which no actor has either. */
export class LocalTrainers {
  readonly #init: LocalTrainersInit
  /** By the device's id. */
  readonly #leases = new Map<string, Lease>()
  #closed = false

  constructor(init: LocalTrainersInit) {
    this.#init = init
  }

  /** Nothing is started any more. */
  close(): void {
    this.#closed = true
  }

  /** Devices of this node that no trainer holds. */
  freeDevices(): string[] {
    return this.#init.runtime.ledger.free()
  }

  /**
   * Starts a trainer of `job` on a device.
   *
   * @throws OverloadedError when the device is held, NotFoundError when there is none or the job is over
   */
  async start(job: LocalJob, slot: string, device: string): Promise<void> {
    const { mesh, runtime, dataRoots, bulkPorts, fabrics, files } = this.#init
    const id = job.record.job
    if (job.trainers.has(slot)) return
    const found = mesh.capabilities(mesh.peer)?.devices.find(d => d.id === device)
    if (found === undefined || slotName({ node: mesh.peer, device }) !== slot) throw new NotFoundError(`this node has no device ${device}`)
    this.#leases.set(device, runtime.ledger.lease(device, `job ${id}`))
    try {
      await files.fetchModel(job)
      const resume = await files.resumePaths(job)
      if (job.result !== undefined || this.#closed) throw new NotFoundError(`job ${id} is over here`)
      const provider = found.kind === 'cpu' ? 'cpu' : (found.providers.find(p => p !== 'cpu') ?? 'cpu')
      const host = runtime.spawn(
        Trainer,
        `${id}/${slot}`,
        {
          job: jobRecord.encode(job.record),
          slot,
          provider,
          folder: job.folder,
          listen: this.#init.bulkListen(),
          ...(dataRoots === undefined ? {} : { dataRoots }),
          ...(bulkPorts === undefined ? {} : { bulkPorts }),
          ...(fabrics === undefined ? {} : { fabrics }),
          ...(resume === undefined ? {} : { resume })
        },
        {
          env: found.kind === 'gpu' && found.uuid !== undefined ? { CUDA_VISIBLE_DEVICES: found.uuid } : {},
          onExit: (reason, final) => this.#exited(job, slot, reason, final)
        }
      )
      job.trainers.set(slot, { slot, device, trainer: undefined, host })
    } catch (error) {
      this.#release(device)
      throw error
    }
  }

  /** Stops the trainer in `slot` for good and frees its device. */
  async dismiss(job: LocalJob, slot: string): Promise<void> {
    const local = job.trainers.get(slot)
    if (local === undefined) return
    job.trainers.delete(slot)
    await this.#init.runtime.stop(Trainer, `${job.record.job}/${slot}`)
    this.#release(local.device)
  }

  /** Makes the job's trainers stand still in every generation below this one, and says how far they came. */
  async freeze(job: LocalJob, generation: number): Promise<VoterReport> {
    const reports = await Promise.all(
      [...job.trainers.values()].map(async ({ host }) => {
        if (!host.ready) return undefined
        try {
          return (await host.call('freeze', generation, this.#init.mesh.peer, { deadline: FREEZE_DEADLINE })) as FrozenState
        } catch {
          host.crash()
          return undefined
        }
      })
    )
    return { trainers: reports.filter(r => r !== undefined) }
  }

  /** A trainer's process ended by itself. */
  #exited(job: LocalJob, slot: string, reason: string, final: boolean): void {
    const local = job.trainers.get(slot)
    if (local === undefined) return
    job.add({ type: 'log', level: 'warn', message: reason, node: this.#init.mesh.peer })
    const { trainer } = local
    local.trainer = undefined
    const actor = this.#init.runtime.at(Job, job.record.job)
    // A job whose actor does not hear it now misses the trainer's signs of life a little later.
    if (trainer !== undefined) actor.call('gone', trainer).catch(() => {})
    if (!final) return
    // Given up: the job is told that this slot cannot serve it, so that it fails with the reason where no other can.
    void this.dismiss(job, slot).then(() => actor.call('unfit', { slot, reason }).catch(() => {}))
  }

  #release(device: string): void {
    this.#leases.get(device)?.release()
    this.#leases.delete(device)
  }
}
