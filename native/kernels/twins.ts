import { checksum } from './checksum.ts'
import * as codecs from './codecs.ts'
import { add, addScaled, average, blend, combine, dot, maxAbs, scale, sumAbs, sumSquares } from './elementwise.ts'
import type { Kernels } from './kernels.ts'
import * as sparse from './sparse.ts'
import * as updates from './updates.ts'

/** The kernels in TypeScript: what the addon's must equal bit by bit, and what does the work where there is no addon. */
export const twins: Kernels = {
  ...{ add, addScaled, average, blend, combine, dot, maxAbs, scale, sumAbs, sumSquares, checksum },
  ...codecs,
  ...sparse,
  ...updates
}
