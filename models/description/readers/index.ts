/** How nodes of a graph are read as layers, an operator an entry. */
import type { NodeReader } from '../from-graph.ts'
import { arithmetic } from './arithmetic.ts'
import { kernels } from './kernels.ts'
import { movement } from './movement.ts'

export type Read = (r: NodeReader) => void

export const readers: Record<string, Read> = { ...kernels, ...arithmetic, ...movement }
