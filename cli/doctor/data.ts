import { openDataset } from '../../datasets/index.ts'
import type { Finding } from './finding.ts'

/** Data sets that come from a package of the system; the drawn ones are always there. */
export async function checkData(): Promise<Finding[]> {
  const findings: Finding[] = [{ check: 'data digits, shapes32', standing: 'ok', message: 'drawn, nothing to install' }]
  try {
    const { train, test } = await openDataset('fashion-mnist')
    findings.push({ check: 'data fashion-mnist', standing: 'ok', message: `${train.count} + ${test.count} samples` })
  } catch (error) {
    const mend = 'apt-get install dataset-fashion-mnist, or set GRADMESH_FASHION_MNIST to the folder of its IDX files'
    findings.push({ check: 'data fashion-mnist', standing: 'lacks', message: (error as Error).message.replace(/: install.*$/, ''), mend })
  }
  return findings
}
