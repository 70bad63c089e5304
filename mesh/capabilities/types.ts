/** One device that can hold one trainer: a GPU, or a slot of the CPU. */
export interface Device {
  /** `gpu:0`, `cpu:1`; unique on its node. */
  id: string
  /** The vendor's own id where there is one. */
  uuid?: string
  kind: 'gpu' | 'cpu'
  name: string
  /** Bytes. */
  memory?: number
  /** Execution providers a session has run on here: `cpu`, `cuda`, `webgpu`. */
  providers: string[]
}

/** One way to move bulk bytes. */
export interface Fabric {
  kind: 'infiniband' | 'roce' | 'shm' | 'tcp'
  device: string
  linkLayer?: string
  /** Gbit/s. */
  rate?: number
}

/** What a node has, as it says itself. */
export interface Capabilities {
  peer: string
  /** The node's name on its machine. */
  node?: string
  devices: Device[]
  fabrics: Fabric[]
  labels: Record<string, string>
  /** Ids of the devices that no trainer holds. A hint: the owner's own ledger admits or refuses. */
  free: string[]
}
