import type { TrainerNotice } from '../trainer/definition.ts'

/** Calls of a node's own actor, pinned to it; its key is the node's peer id. */
export type NodeCalls = {
  /** Start a trainer of `job` on `device`. @throws OverloadedError when the device is taken, NotFoundError when the job or device is unknown here */
  start(request: { job: string; slot: string; device: string }): void
  /** Stop the trainer in `slot`. */
  dismiss(request: { job: string; slot: string }): void
  /** A certificate for a trainer's key; only the node's own trainers may ask. */
  certify(request: { job: string; slot: string; peer: string }): { mesh: string; certificate: Uint8Array }
  /** Let the trainer in `slot` stop and write a checkpoint. @returns its name and step */
  checkpoint(request: { job: string; slot: string }): { name: string; step: number }
  /** Where a checkpoint of the job lies on this node, fetched if need be; only the node's own trainers may ask. */
  locate(request: { job: string; checkpoint: string }): { state: string; manifest: string }
  /** News of one of the node's own trainers. */
  notice(request: { job: string; slot: string; trainer: string; notice: TrainerNotice }): void
}
