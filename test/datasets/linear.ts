import { type Dataset, type Split, sampleOrder } from '../../datasets/index.ts'

/** How long and how fast to train. */
export interface LinearTraining {
  epochs: number
  /** Falls to a tenth over the epochs. */
  rate: number
}

const BATCH = 32
const MOMENTUM = 0.9

/**
 * Trains softmax regression by SGD with momentum, from zero weights, to near convergence.
 *
 * @returns the shares of training and of test samples it gets right
 */
export async function linearAccuracy(dataset: Dataset, { epochs, rate }: LinearTraining): Promise<{ train: number; test: number }> {
  const model = new Linear(
    dataset.shape.reduce((a, b) => a * b),
    dataset.classes
  )
  const { train } = dataset
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = sampleOrder(train.count, 'linear', epoch)
    const step = rate * 0.1 ** (epoch / epochs)
    for (let at = 0; at < train.count; at += BATCH) {
      model.learn(train, order.subarray(at, at + BATCH), step)
      if (at % 1024 === 0) await new Promise(resolve => setImmediate(resolve))
    }
  }
  return { train: model.accuracy(train), test: model.accuracy(dataset.test) }
}

class Linear {
  readonly #size: number
  readonly #classes: number
  readonly #weights: Float32Array
  readonly #velocity: Float32Array
  readonly #input: Float32Array
  readonly #labels = new Int32Array(BATCH)
  readonly #scores: Float64Array

  constructor(size: number, classes: number) {
    this.#size = size
    this.#classes = classes
    this.#weights = new Float32Array(classes * (size + 1))
    this.#velocity = new Float32Array(classes * (size + 1))
    this.#input = new Float32Array(BATCH * size)
    this.#scores = new Float64Array(classes)
  }

  learn(split: Split, ids: ArrayLike<number>, rate: number): void {
    const row = this.#size + 1
    split.read(ids, this.#input, this.#labels)
    for (let i = 0; i < this.#velocity.length; i++) this.#velocity[i]! *= MOMENTUM
    for (let n = 0; n < ids.length; n++) {
      this.#score(n)
      const scores = this.#scores
      const top = Math.max(...scores)
      let sum = 0
      for (let c = 0; c < this.#classes; c++) sum += scores[c] = Math.exp(scores[c]! - top)
      for (let c = 0; c < this.#classes; c++) {
        const slope = (rate / ids.length) * (scores[c]! / sum - (c === this.#labels[n] ? 1 : 0))
        for (let i = 0; i < this.#size; i++) this.#velocity[c * row + i]! -= slope * this.#input[n * this.#size + i]!
        this.#velocity[c * row + this.#size]! -= slope
      }
    }
    for (let i = 0; i < this.#weights.length; i++) this.#weights[i]! += this.#velocity[i]!
  }

  accuracy(split: Split): number {
    let right = 0
    for (let id = 0; id < split.count; id++) {
      split.read([id], this.#input, this.#labels)
      this.#score(0)
      if (this.#scores.indexOf(Math.max(...this.#scores)) === this.#labels[0]) right++
    }
    return right / split.count
  }

  #score(n: number): void {
    const row = this.#size + 1
    for (let c = 0; c < this.#classes; c++) {
      let sum = this.#weights[c * row + this.#size]!
      for (let i = 0; i < this.#size; i++) sum += this.#weights[c * row + i]! * this.#input[n * this.#size + i]!
      this.#scores[c] = sum
    }
  }
}
