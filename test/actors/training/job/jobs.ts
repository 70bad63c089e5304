import type { GroupMember, JobRecord } from '../../../../actors/training/job/records.ts'
import type { JobSpec } from '../../../../actors/training/service-types.ts'

/** A job's record for tests. */
export function jobOf(spec: Partial<JobSpec> = {}, voters = ['a', 'b', 'c']): JobRecord {
  return {
    job: 'j1',
    spec: {
      model: 'lenet',
      data: 'digits',
      strategy: 'allreduce',
      trainers: 'all',
      epochs: 1,
      batch: 8,
      lr: 0.1,
      optimizer: { name: 'sgd' },
      schedule: { policy: 'fixed' },
      seed: 1,
      onSplit: 'wait',
      wait: false,
      logEvery: 10,
      scaleLr: false,
      ...spec
    },
    submitted: 0,
    submitter: 'a',
    voters,
    fingerprint: { count: 100, testCount: 10, shape: [1, 28, 28], classes: 10, digest: 'd' }
  }
}

/** The trainer `t-NODE` on the first CPU of a node. */
export function memberOn(node: string, suffix = ''): GroupMember {
  return { trainer: `t-${node}${suffix}`, node, slot: `${node}/cpu:0`, endpoints: [`/ip4/127.0.0.1/tcp/1/p2p/${node}`] }
}
