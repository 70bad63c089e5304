// Trains LeNet on a few drawn digits in two processes, from a program instead of the command: node examples/train-in-process.ts
import { writeFile } from 'node:fs/promises'
import { embed } from '../index.ts'

const mesh = await embed({ trainers: 2 })
try {
  const { job } = await mesh.submit({
    model: 'lenet',
    data: 'digits?train=4000&test=500',
    strategy: 'allreduce',
    trainers: 2,
    epochs: 2,
    batch: 32,
    lr: 0.02,
    optimizer: { name: 'sgd', momentum: 0.9 },
    schedule: { policy: 'fixed' },
    seed: 1,
    onSplit: 'wait',
    wait: false,
    logEvery: 20,
    scaleLr: false
  })
  for await (const event of mesh.follow(job)) {
    if (event.type === 'metrics' && event.rank === 0) console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`)
    if (event.type === 'evaluation' && event.accuracy !== undefined) console.log(`test accuracy ${(event.accuracy * 100).toFixed(2)} %`)
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of mesh.file(job, 'model.onnx')) chunks.push(chunk)
  await writeFile('model.onnx', Buffer.concat(chunks))
  console.log('wrote model.onnx')
} finally {
  await mesh.close()
}
