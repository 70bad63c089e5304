/** A loadable part: why it cannot be built here, or undefined; what its compilation and linking need besides. */
export const parts: Record<string, { needs: () => string | undefined; flags: string[] }>
export function flagsOf(file: string): string[]
export function findCompiler(): { command: string; version: string; extra: string[] } | undefined
