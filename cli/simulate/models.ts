import { InvalidParametersError } from '../../common/index.ts'

/** What planning needs to know of a model. */
export interface PlannedModel {
  name: string
  parameters: number
  /** Samples of a step of one trainer. */
  batch: number
  /** ms of a step of one trainer, forward and backward, without exchange. */
  stepMs: number
  /** Where the time comes from; it is an assumption of every figure. */
  source: string
}

const gpu = 'assumed, of the order of one GPU of the V100 class in float32'
const measured = 'measured on one CPU core, docs/benchmarks.md'

/** Parameters are counted; times are assumptions that `--step-ms` replaces. */
export const plannedModels: readonly PlannedModel[] = [
  { name: 'resnet50', parameters: 25_557_032, batch: 64, stepMs: 180, source: gpu },
  { name: 'resnet18', parameters: 11_689_512, batch: 64, stepMs: 65, source: gpu },
  { name: 'vgg16', parameters: 138_357_544, batch: 32, stepMs: 140, source: gpu },
  { name: 'alexnet', parameters: 60_965_224, batch: 256, stepMs: 140, source: gpu },
  { name: 'mobilenet-v2', parameters: 3_504_872, batch: 64, stepMs: 80, source: gpu },
  { name: 'bert-base', parameters: 109_482_240, batch: 32, stepMs: 220, source: `${gpu}; a sample is a sequence of 128 tokens` },
  { name: 'gpt2', parameters: 124_439_808, batch: 8, stepMs: 500, source: `${gpu}; a sample is a sequence of 1,024 tokens` },
  { name: 'lenet', parameters: 431_080, batch: 64, stepMs: 25.5, source: measured },
  { name: 'mlp', parameters: 1_863_690, batch: 64, stepMs: 15, source: measured },
  { name: 'cifar10-quick', parameters: 145_578, batch: 64, stepMs: 121, source: measured }
]

/** @throws InvalidParametersError that lists the known names */
export function plannedModel(name: string): PlannedModel {
  const model = plannedModels.find(m => m.name === name)
  if (model !== undefined) return model
  throw new InvalidParametersError(
    `planning knows no model '${name.slice(0, 60)}'; choose one of ${plannedModels.map(m => m.name).join(', ')}, or give --parameters, --batch and --step-ms`
  )
}
