export const root: string
export function sourcesOf(part: string): string[]
export function artifactOf(part: string): string
export function needsBuilding(part: string): boolean
