import { float, floatAttribute, intAttribute } from '../graph/attributes.ts'
import type { Emitter } from '../graph/emitter.ts'
import { type Rule, type RuleContext, reshape, reshapeLike, unbroadcast } from './rule.ts'

/*
 * Matrix products. For Y = A·B: dA = G·Bᵀ, dB = Aᵀ·G (Petersen & Pedersen 2012, The Matrix Cookbook, 2.5); a broadcast batch is
 * summed over. Transposes are never built: Gemm and onnxruntime's FusedMatMul take them as attributes.
 */

function product(e: Emitter, a: string, transA: boolean, b: string, transB: boolean, alpha: number): string {
  return e.op('Gemm', [a, b], {
    ...(transA ? { transA: 1 } : {}),
    ...(transB ? { transB: 1 } : {}),
    ...(alpha !== 1 ? { alpha: float(alpha) } : {})
  })
}

const gemm: Rule = c => {
  const tA = intAttribute(c.node, 'transA', 0) !== 0
  const tB = intAttribute(c.node, 'transB', 0) !== 0
  const alpha = floatAttribute(c.node, 'alpha', 1)
  const beta = floatAttribute(c.node, 'beta', 1)
  const [a, b] = [c.x(0), c.x(1)]
  let da: string | undefined
  let db: string | undefined
  let dc: string | undefined
  if (c.wants(2)) {
    const summed = unbroadcast(c.e, c.g, c.x(2))
    dc = beta === 1 ? summed : c.op('Mul', summed, c.scalar(beta))
  }
  if (c.wants(1)) db = tB ? product(c.e, c.g, true, a, tA, alpha) : product(c.e, a, !tA, c.g, false, alpha)
  if (c.wants(0)) da = tA ? product(c.e, b, tB, c.g, true, alpha) : product(c.e, c.g, false, b, !tB, alpha)
  return [da, db, dc]
}

function batched(c: RuleContext, a: string, transA: boolean, b: string, transB: boolean): string {
  const attributes = { ...(transA ? { transA: 1 } : {}), ...(transB ? { transB: 1 } : {}) }
  return transA || transB ? c.e.contributed('FusedMatMul', [a, b], attributes) : c.op('MatMul', a, b)
}

const matmul: Rule = c => {
  const { e } = c
  const [ra, rb] = [c.shape(0).length, c.shape(1).length]
  const a = ra === 1 ? e.op('Unsqueeze', [c.x(0), e.ints([0])]) : c.x(0)
  const b = rb === 1 ? e.op('Unsqueeze', [c.x(1), e.ints([1])]) : c.x(1)
  let g = c.g
  if (rb === 1) g = e.op('Unsqueeze', [g, e.ints([-1])])
  if (ra === 1) g = e.op('Unsqueeze', [g, e.ints([-2])])
  let da: string | undefined
  let db: string | undefined
  if (c.wants(1)) {
    const [k, o] = e.shape(b).slice(-2)
    if (e.shape(b).length === 2 && e.shape(a).length > 2 && typeof k === 'number' && typeof o === 'number') {
      db = product(e, reshape(e, a, [-1, k]), true, reshape(e, g, [-1, o]), false, 1)
    } else if (e.shape(a).length === 2 && e.shape(b).length === 2) {
      db = product(e, a, true, g, false, 1)
    } else {
      db = unbroadcast(e, batched(c, a, true, g, false), b)
    }
    db = reshapeLike(e, db, c.x(1))
  }
  if (c.wants(0)) {
    const plain = e.shape(a).length === 2 && e.shape(b).length === 2
    da = plain ? product(e, g, false, b, true, 1) : unbroadcast(e, batched(c, g, false, b, true), a)
    da = reshapeLike(e, da, c.x(0))
  }
  return [da, db]
}

export const linear: Record<string, Rule> = { Gemm: gemm, MatMul: matmul }
