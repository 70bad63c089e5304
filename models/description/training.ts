import { z } from 'zod'
import { count, factor } from './fields.ts'

const rate = z.number().positive().max(1e6)

const share = z.number().min(0).lt(1).optional()
/** Whose formula, where two are in use: Caffe's or PyTorch's. */
const form = z.enum(['caffe', 'pytorch']).optional()
const nesterov = z.boolean().optional()

/** An updater with settings of its own; docs/optimizers.md says what they mean. */
function named<N extends string, T extends z.ZodRawShape>(type: N, settings: T) {
  return z.strictObject({ type: z.literal(type), lr: rate.optional(), ...settings })
}

/** How parameters move along gradients. */
const updater = z.discriminatedUnion('type', [
  named('sgd', { momentum: share, nesterov, form }),
  named('adagrad', { epsilon: share }),
  named('adadelta', { rho: share, epsilon: share }),
  named('rmsprop', { rho: share, epsilon: share, momentum: share }),
  named('adam', { beta1: share, beta2: share, epsilon: share, form }),
  named('adamw', { beta1: share, beta2: share, epsilon: share, form }),
  named('lars', { trust: rate.optional(), momentum: share, nesterov, epsilon: share }),
  named('lamb', { beta1: share, beta2: share, epsilon: share })
])

const warmUp = z.strictObject({ steps: count, from: z.number().min(0).max(1).optional() }).optional()
const power = z.number().min(0).max(1e6)

function policy<N extends string, T extends z.ZodRawShape>(name: N, settings: T) {
  return z.strictObject({ policy: z.literal(name), ...settings, warmUp })
}

/** How the rate changes over the steps. */
const schedule = z.discriminatedUnion('policy', [
  policy('fixed', {}),
  policy('step', { gamma: rate, stepSize: count }),
  policy('multistep', { gamma: rate, stepValues: z.array(z.number().int().min(0)).min(1).max(10_000) }),
  policy('exp', { gamma: rate }),
  policy('inv', { gamma: z.number().min(0).max(1e6), power }),
  policy('poly', { power, maxSteps: count }),
  policy('sigmoid', { gamma: z.number().min(-1e6).max(1e6), stepSize: z.number().min(0).max(1e9) }),
  policy('cosine', { maxSteps: count, min: z.number().min(0).max(1).optional() })
])

/** How a described model is trained, where nothing else is said. */
export const training = z.strictObject({
  /** `softmax-ce`, `mse` …: what `--loss` takes. */
  loss: z.string().min(1).max(200).optional(),
  updater: updater.optional(),
  schedule: schedule.optional(),
  /** Weight decay: λ of ½λ‖w‖². */
  l2: factor.optional(),
  /** λ of λ|w|₁. */
  l1: factor.optional(),
  /** Largest norm of the whole gradient. */
  clipNorm: rate.optional(),
  /** Samples a step of each trainer. */
  batch: count.optional(),
  epochs: count.max(1_000_000).optional(),
  strategy: z.string().min(1).max(64).optional()
})

export type Training = z.output<typeof training>
