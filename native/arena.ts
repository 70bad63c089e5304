import { randomBytes } from 'node:crypto'
import { GradmeshError, InvalidParametersError, MAX_PARAMETERS, NotFoundError, TooLargeError } from '../common/index.ts'
import { coreModule, type MappedArena, nativeReport } from './addon.ts'

/** Largest arena, bytes: a model's parameters with five times as much beside them. */
const MAX_BYTES = MAX_PARAMETERS * 4 * 6

/**
 * Where an arena can be opened again: by any thread of this process and, on Linux, by any process of this user on this host. It is
 * plain data, valid while `pid` has the arena open.
 */
export interface SharedArena {
  id: string
  pid: number
  descriptor: number
  bytes: number
}

/**
 * Memory that threads and processes share, as this thread maps it: page-aligned, zeros at first, with no name in any file system. Each
 * `createArena` and `openArena` is a mapping of its own, at an address of its own: V8 wants no two buffers at one address. The memory
 * goes with its last mapping, also when processes are killed.
 */
export interface Arena {
  readonly id: string
  /** Whole pages, at least what was asked for. */
  readonly bytes: number
  /** Page size, bytes: 2 MiB where the kernel had huge pages in reserve. */
  readonly page: number
  /** This mapping's memory. ONNX Runtime takes tensors over it, as feeds and as pre-allocated fetches. It cannot be transferred. */
  readonly buffer: ArrayBuffer
  /** For other parts of the addon: an external with a `GradmeshArena` of native/src/arena.h, which they retain while they use it. */
  readonly handle: object
  /** `length` floats from float `offset` on. @throws InvalidParametersError when they are not all inside */
  floats(offset?: number, length?: number): Float32Array<ArrayBuffer>
  /** What other threads and processes open it by. @throws InvalidParametersError when it is closed */
  share(): SharedArena
  /** Detaches every view of this mapping. The memory stays as long as native code retains it or others have it open. */
  close(): void
}

/** Whether {@link createArena} works here; else memory is shared by SharedArrayBuffer, and ONNX Runtime gets copies. */
export const arenasAvailable: boolean = coreModule !== undefined

/**
 * New shared memory of at least `bytes`.
 *
 * @param options.hugePages - take the kernel's reserve of huge pages where it has enough; transparent ones are always asked for. @default true
 * @throws InvalidParametersError for a wrong size
 * @throws TooLargeError when there is not that much memory
 * @throws GradmeshError when there is no addon
 */
export function createArena(bytes: number, options: { hugePages?: boolean } = {}): Arena {
  if (!(Number.isSafeInteger(bytes) && bytes >= 1 && bytes <= MAX_BYTES)) {
    throw new InvalidParametersError(`an arena has 1 to ${MAX_BYTES} bytes, not ${bytes}`)
  }
  // The kernel would rather kill a process than refuse it.
  const available = process.availableMemory()
  if (bytes > available) throw new TooLargeError(`shared memory of ${bytes} bytes is refused: ${available} bytes of memory are free here`)
  const id = randomBytes(16).toString('hex')
  return wrap(
    id,
    mapped(GradmeshError, core => core.createArena(bytes, id, options.hugePages ?? true))
  )
}

/**
 * Maps shared memory once more.
 *
 * @param shared - what {@link Arena.share} gave, in this or another process; checked
 * @throws InvalidParametersError when `shared` has not that form
 * @throws NotFoundError when the arena is closed, its process gone, or of another user
 */
export function openArena(shared: SharedArena): Arena {
  const { id, pid, descriptor, bytes } = shared
  const natural = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0
  if (
    !(typeof id === 'string' && /^[0-9a-f]{32}$/.test(id) && natural(pid) && natural(descriptor) && natural(bytes) && bytes <= MAX_BYTES)
  ) {
    throw new InvalidParametersError('an arena is opened by what share() gave: { id, pid, descriptor, bytes }')
  }
  if (process.platform !== 'linux' && pid !== process.pid) {
    throw new InvalidParametersError('arenas of other processes can be opened on Linux only')
  }
  const path = `/proc/${pid === process.pid ? 'self' : pid}/fd/${descriptor}`
  return wrap(
    id,
    mapped(NotFoundError, core => core.openArena(path, bytes, id))
  )
}

const known = new WeakMap<ArrayBufferLike, Arena>()

/** The open arena of this thread that `buffer` is the memory of, if it is one's. */
export function arenaOf(buffer: ArrayBufferLike): Arena | undefined {
  return known.get(buffer)
}

/** Mappings of this process that are not unmapped yet; 0 without the addon. */
export function liveMappings(): number {
  return coreModule?.liveMappings() ?? 0
}

function mapped(Refusal: typeof GradmeshError, map: (core: NonNullable<typeof coreModule>) => MappedArena): MappedArena {
  if (coreModule === undefined) throw new GradmeshError(`there are no arenas without the native layer: ${nativeReport().problem}`)
  try {
    return map(coreModule)
  } catch (error) {
    throw new Refusal((error as Error).message)
  }
}

function wrap(id: string, { buffer, handle, descriptor, bytes, page }: MappedArena): Arena {
  let open = true
  const arena: Arena = {
    id,
    bytes,
    page,
    buffer,
    handle,
    floats(offset = 0, length = Math.floor(bytes / 4) - offset) {
      if (!open) throw new InvalidParametersError(`arena ${id} is closed`)
      const natural = (x: number) => Number.isSafeInteger(x) && x >= 0
      if (!(natural(offset) && natural(length) && (offset + length) * 4 <= bytes)) {
        throw new InvalidParametersError(`floats ${offset} to ${offset + length} lie outside an arena of ${Math.floor(bytes / 4)}`)
      }
      return new Float32Array(buffer, offset * 4, length)
    },
    share() {
      if (!open) throw new InvalidParametersError(`arena ${id} is closed`)
      return { id, pid: process.pid, descriptor, bytes }
    },
    close() {
      if (!open) return
      open = false
      known.delete(buffer)
      coreModule!.closeArena(handle, buffer)
    }
  }
  known.set(buffer, arena)
  return arena
}
