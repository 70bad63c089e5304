/** Largest control message, bytes, framing excluded. */
export const MAX_CONTROL_MESSAGE = 4 * 1024 * 1024
/** Largest chunk of bulk bytes in one frame; a larger one would hold up every other stream of its connection. */
export const MAX_BULK_CHUNK = 256 * 1024
/** Nodes one membership view may hold. */
export const MAX_MEMBERS = 10_000
/** Replicated records of all kinds a node keeps. */
export const MAX_RECORDS = 10_000
/** Largest replicated record, bytes. */
export const MAX_RECORD_BYTES = 64 * 1024
/** Messages that wait in one actor's mailbox. */
export const MAX_MAILBOX = 1024
/** Trainers of one job. */
export const MAX_TRAINERS = 4096
/** Floats of one model (8 GiB of parameters). */
export const MAX_PARAMETERS = 2 ** 31
