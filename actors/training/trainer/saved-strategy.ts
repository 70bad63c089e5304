/** What a checkpoint's manifest says of the strategy that wrote it; from a file, so the strategy checks it. */
export interface SavedStrategy {
  name?: string
  [key: string]: unknown
}
