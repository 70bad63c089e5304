import { z } from 'zod'
import { count, factor } from './fields.ts'

const rate = z.number().positive().max(1e6)

/** How parameters move along gradients. */
const updater = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('sgd'),
    lr: rate.optional(),
    momentum: z.number().min(0).lt(1).optional(),
    /** Whose formula: Caffe keeps the rate inside the momentum, PyTorch outside. */
    form: z.enum(['caffe', 'pytorch']).optional()
  })
])

/** How the rate changes over the steps. */
const schedule = z.discriminatedUnion('policy', [
  z.strictObject({ policy: z.literal('fixed') }),
  z.strictObject({ policy: z.literal('step'), gamma: z.number().positive().max(1), stepSize: count })
])

/** How a described model is trained, where nothing else is said. */
export const training = z.strictObject({
  /** `softmax-ce`, `mse` …: what `--loss` takes. */
  loss: z.string().min(1).max(200).optional(),
  updater: updater.optional(),
  schedule: schedule.optional(),
  /** Weight decay: λ of ½λ‖w‖². */
  l2: factor.optional(),
  /** Samples a step of each trainer. */
  batch: count.optional(),
  epochs: count.max(1_000_000).optional(),
  strategy: z.string().min(1).max(64).optional()
})

export type Training = z.output<typeof training>
