import type { Finding, Machine } from './finding.ts'

/** Networks that move bulk bytes. */
export async function checkFabrics(machine: Machine): Promise<Finding[]> {
  const fast = (await machine.fabrics()).filter(fabric => fabric.kind === 'infiniband' || fabric.kind === 'roce')
  if (fast.length === 0) {
    const message = 'no InfiniBand or RoCE device is up; gradients move over encrypted TCP'
    return [
      {
        check: 'fabric',
        standing: 'lacks',
        message,
        mend: 'where there is an adapter: apt-get install rdma-core, then look at ibv_devices'
      }
    ]
  }
  return fast.map(({ kind, device, rate }) => ({
    check: `fabric ${device}`,
    standing: 'ok',
    message: `${kind}${rate === undefined ? '' : `, ${rate} Gbit/s`}; this version moves gradients over encrypted TCP all the same`
  }))
}
