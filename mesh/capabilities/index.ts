/**
 * @packageDocumentation
 *
 * What the nodes of a mesh have: devices that trainers may hold, fabrics, labels. Each node finds its own and publishes them as a
 * signed record that it refreshes.
 *
 * @example
 * import { findDevices, findFabrics } from './mesh/capabilities/index.ts'
 * const devices = await findDevices({ cpus: 2, probe: async device => (device.kind === 'cpu' ? ['cpu'] : []) })
 * console.log(devices.map(d => `${d.id} ${d.name}`), await findFabrics())
 */
export { decodeCapabilities, encodeCapabilities } from './codec.ts'
export { type FindDevicesOptions, findDevices } from './devices.ts'
export { findFabrics } from './fabrics.ts'
export { findGpus, type GpuQuery, parseNvidiaSmi } from './nvidia.ts'
export { CAPABILITIES, type CapabilityBoard, createCapabilityBoard } from './publish.ts'
export type { Capabilities, Device, Fabric } from './types.ts'
