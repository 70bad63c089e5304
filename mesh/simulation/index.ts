/**
 * @packageDocumentation
 *
 * The simulated world that protocol cores run in, in virtual time and reproducible by seed: machines that crash, freeze, stall and
 * have clocks of their own; links that delay, lose, duplicate, reorder, clog and are cut one way or both; disks that lose what was
 * not synced. Scenarios and checkers lie in test/simulation/.
 *
 * @example
 * import { World, applyFault } from './index.ts'
 * const world = new World({ seed: 7 })
 * for (const name of ['a', 'b']) {
 *   world.add(name, host => {
 *     host.setTimer('tick', 100)
 *     return {
 *       timer: () => host.send(name === 'a' ? 'b' : 'a', { kind: 'hello' }),
 *       receive: from => host.observe('greeted', { from })
 *     }
 *   })
 *   world.start(name)
 * }
 * world.observers.push({ observe: o => console.log(o.time, o.node, o.kind, o.details) })
 * world.at(50, () => applyFault(world, { type: 'cut', from: ['a'], to: ['b'] }))
 * world.run(1000) // only a is greeted
 * console.log(world.trace.hash)
 */
export { calmDisk, Disk, type DiskSettings } from './disk.ts'
export { applyFault, drawFaults, type Fault, type ScheduledFault, schedule, type Troubles } from './faults.ts'
export { Heap, type Moment } from './heap.ts'
export { calmNetwork, Network, type NetworkSettings } from './network.ts'
export { type Boot, type Host, type Program, SimulatedNode } from './node.ts'
export { Trace } from './trace.ts'
export { type Observation, type Observer, World, type WorldOptions } from './world.ts'
