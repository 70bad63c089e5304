// A process that makes an arena or opens one, writes its mark, and keeps it until it is killed.
import { createArena, openArena, type SharedArena } from '../../native/index.ts'

process.once('message', (shared: SharedArena | 'make') => {
  const arena = shared === 'make' ? createArena(1 << 20) : openArena(shared)
  arena.floats()[1] = 42
  process.send!(arena.share())
  process.once('disconnect', () => process.exit(arena.bytes > 0 ? 0 : 1))
})
