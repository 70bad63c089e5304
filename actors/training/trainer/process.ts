import { type Handlers, type ProcessContext, serve } from '../../runtime/index.ts'
import type { TrainerCalls, TrainerInit } from './definition.ts'
import { Trainer } from './trainer.ts'

/** The process of one trainer. */
serve((context: ProcessContext<TrainerInit>) => ({
  create: () => Trainer.open(context),
  calls: {
    group: ({ state }, record) => state.group(record),
    freeze: ({ state }, generation) => state.freeze(generation),
    checkpoint: ({ state }) => state.checkpoint(),
    status: ({ state }) => state.status()
  } satisfies Handlers<Trainer, TrainerCalls>
}))
