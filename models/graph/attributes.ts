import { MalformedError } from '../../common/index.ts'
import type { Attribute, GraphNode, Tensor } from './types.ts'

/** How messages name a node: its operator, and its name or first output. */
export function describe(node: GraphNode): string {
  const name = node.name !== '' ? node.name : (node.outputs.find(o => o !== '') ?? '')
  return `${node.domain === '' ? '' : `${node.domain}.`}${node.op} '${name}'`
}

function wrong(node: GraphNode, name: string, what: string): never {
  throw new MalformedError(`node ${describe(node)}: attribute '${name}' must be ${what}`)
}

export function has(node: GraphNode, name: string): boolean {
  return node.attributes[name] !== undefined
}

export function intAttribute(node: GraphNode, name: string, otherwise: number): number {
  const a = node.attributes[name]
  if (a === undefined) return otherwise
  return typeof a === 'number' ? a : wrong(node, name, 'an integer')
}

export function intsAttribute(node: GraphNode, name: string): number[] | undefined
export function intsAttribute(node: GraphNode, name: string, otherwise: number[]): number[]
export function intsAttribute(node: GraphNode, name: string, otherwise?: number[]): number[] | undefined {
  const a = node.attributes[name]
  if (a === undefined) return otherwise
  return Array.isArray(a) && a.every(x => typeof x === 'number') ? (a as number[]) : wrong(node, name, 'a list of integers')
}

export function floatAttribute(node: GraphNode, name: string, otherwise: number): number {
  const a = node.attributes[name]
  if (a === undefined) return otherwise
  return typeof a === 'object' && 'float' in a ? a.float : wrong(node, name, 'a float')
}

export function stringAttribute(node: GraphNode, name: string, otherwise: string): string {
  const a = node.attributes[name]
  if (a === undefined) return otherwise
  return typeof a === 'string' ? a : wrong(node, name, 'a string')
}

export function tensorAttribute(node: GraphNode, name: string): Tensor | undefined {
  const a = node.attributes[name]
  if (a === undefined) return undefined
  return typeof a === 'object' && 'tensor' in a ? a.tensor : wrong(node, name, 'a tensor')
}

/** A float attribute's value, to set it apart from an integer. */
export function float(value: number): Attribute {
  return { float: value }
}
