import { sizeOf } from '../../graph/tensors.ts'
import type { LayerContext, LayerRule } from './context.ts'

/* Layers that multiply by parameters and add them. */

const innerProduct: LayerRule = c => {
  const p = c.layer.message('inner_product_param')
  const outputs = p.number('num_output')
  if (outputs < 1) c.refuse("'num_output' must be 1 or more")
  const shape = c.shape()
  const axis = c.axis(p.number('axis'))
  if (axis === 0) c.refuse('axis 0 would mix the samples of a batch')
  const inputs = sizeOf(c.sizes(axis))
  const transposed = p.bool('transpose')
  const parameters = [c.parameter(0, transposed ? [inputs, outputs] : [outputs, inputs], 'weight', p.message('weight_filler'))]
  if (p.bool('bias_term')) parameters.push(c.parameter(1, [outputs], 'bias', p.message('bias_filler')))
  const attributes = { transB: transposed ? 0 : 1 }
  const flat = (x: string) => (shape.length === 2 ? x : c.op('Flatten', [x], { axis }))
  if (axis === 1) return c.bottoms.map((bottom, i) => c.result('Gemm', [flat(bottom), ...parameters], attributes, i))
  const kept = c.sizes().slice(0, axis - 1)
  return c.bottoms.map((bottom, i) => {
    const product = c.op('Gemm', [flat(bottom), ...parameters], attributes)
    return c.result('Reshape', [product, c.e.ints([-1, ...kept, outputs])], {}, i)
  })
}

/**
 * A factor or summand in a shape that broadcasts over the first bottom from `axis` on: a parameter of `num_axes` dimensions, or the second
 * bottom.
 */
function operand(c: LayerContext, field: 'scale_param' | 'bias_param', suffix: string, otherwise: number): string {
  const p = c.layer.message(field)
  const shape = c.shape()
  const axis = c.axis(p.number('axis'))
  if (c.bottoms.length > 1) {
    const other = c.shape(1)
    const after = shape.length - axis - other.length
    if (after < 0) c.refuse('its second bottom has more dimensions than the first one from its axis on')
    return after === 0 ? c.bottoms[1] : c.reshape(c.bottoms[1], [...other.map(() => 0), ...new Array<number>(after).fill(1)])
  }
  const given = p.number('num_axes')
  const count = given === -1 ? shape.length - axis : given
  if (count < 0 || axis + count > shape.length) c.refuse(`num_axes ${given} reaches beyond the ${shape.length} dimensions of its bottom`)
  if (axis === 0 && count > 0) c.refuse('a parameter a sample of the batch cannot be trained; use axis 1')
  const sizes = count === 0 ? [] : c.sizes().slice(axis - 1, axis - 1 + count)
  const filler = p.has('filler') ? p.message('filler') : ({ type: 'constant', value: otherwise } as const)
  return broadcast(c, c.parameter(0, sizes, suffix, filler), sizes, axis)
}

/** A value of the shape `sizes` with ones behind, so that it meets the dimensions of the first bottom from `axis` on. */
function broadcast(c: LayerContext, value: string, sizes: number[], axis: number): string {
  const behind = c.shape().length - axis - sizes.length
  return sizes.length === 0 || behind === 0 ? value : c.reshape(value, [...sizes, ...new Array<number>(behind).fill(1)])
}

const scale: LayerRule = c => {
  const p = c.layer.message('scale_param')
  const factor = operand(c, 'scale_param', 'scale', 1)
  if (!p.bool('bias_term')) return [c.result('Mul', [c.x, factor])]
  const axis = c.axis(p.number('axis'))
  const own = c.bottoms.length === 1
  const sizes = own ? c.graph.parameters.get(c.net.blobs.get(c.name)![0])!.shape : c.sizes(0, 1)
  const bias = c.parameter(own ? 1 : 0, sizes, 'bias', p.message('bias_filler'))
  return [c.result('Add', [c.op('Mul', [c.x, factor]), broadcast(c, bias, sizes, axis)])]
}

export const linear: Record<string, LayerRule> = {
  InnerProduct: innerProduct,
  Scale: scale,
  Bias: c => [c.result('Add', [c.x, operand(c, 'bias_param', 'bias', 0)])]
}
