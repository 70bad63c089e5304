/** A trainer in a process of its own: takes one transfer after another, and is killed by the test. */
import { createTrainer } from './hosts.ts'

const trainer = await createTrainer()
const channels: string[] = []
trainer.endpoint.onChannel(channel => {
  channels.push(channel.peer)
  const into = new Uint8Array(20_000_000)
  const next = (n: number): Promise<void> => channel.receive(`t${n}`, into).then(() => next(n + 1))
  next(0).catch(() => {})
})
process.on('disconnect', () => process.exit(0))
process.send?.({ peer: trainer.peer, endpoints: trainer.endpoint.endpoints() })
