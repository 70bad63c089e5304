export const OLDEST: readonly [number, number]
export function isNewEnough(version: string): boolean
export function projectNode(folder: string): string | undefined
export function relaunch(node: string, args: string[], env?: Record<string, string>): void
export function isRelaunched(): boolean
export function dieWithRelauncher(): void
