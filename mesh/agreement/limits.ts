/** Bytes (UTF-8) of a register's key. */
export const MAX_KEY_BYTES = 256
/** Bytes of a decided value. */
export const MAX_VALUE_BYTES = 64 * 1024
/** Bytes of what a voter reports with its promise. */
export const MAX_REPORT_BYTES = 64 * 1024
/** Voters of one register. */
export const MAX_VOTERS = 4096
/** Registers one node holds; `forget` makes room. */
export const MAX_REGISTERS = 10_000
/** Bytes of values that the registers of one node hold together. */
export const MAX_HELD_BYTES = 64 * 1024 * 1024
/** Proposals and questions of this node that run at one time. */
export const MAX_PROPOSALS = 256
/** Reports asked of the application at one time. */
export const MAX_REPORTING = 256
/** Replies that wait until the disk has their promise or vote. */
export const MAX_WAITING = 1024
/** Bytes of one agreement message: a value, a report and what is around them. */
export const MAX_AGREEMENT_MESSAGE = MAX_VALUE_BYTES + MAX_REPORT_BYTES + 4096
