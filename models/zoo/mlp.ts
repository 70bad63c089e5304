import { type Activation, layers, type Model } from '../description/index.ts'
import type { ZooInput } from './index.ts'

export interface MlpOptions {
  /** @default 'relu' */
  activation?: Activation
  /** Widths of the hidden layers. @default [1024, 1024] */
  hidden?: number[]
}

/** Fully connected layers with an activation between; 784-1024-1024-10 for 1×28×28 and 10 classes. */
export function mlp({ shape, classes }: ZooInput, { activation = 'relu', hidden = [1024, 1024] }: MlpOptions = {}): Model {
  const filler = activation === 'relu' ? ({ type: 'msra' } as const) : ({ type: 'xavier' } as const)
  const builder = layers('MLP', shape)
  hidden.forEach((outputs, i) => {
    builder.innerProduct(`ip${i + 1}`, { outputs, weight: { filler } }).activation(`${activation}${i + 1}`, activation)
  })
  return builder.innerProduct(`ip${hidden.length + 1}`, { outputs: classes }).describe()
}
