import type { Message } from './message.ts'
import { parseText } from './text.ts'
import { upgradeNet } from './upgrade.ts'

/** A net of Caffe's, read and brought to today's form. */
export type CaffeNet = Message

/**
 * Reads a net.
 *
 * @param file - what errors call the text
 * @throws MalformedError `file:line:column: …`
 */
export function parseNet(text: string, file: string): CaffeNet {
  return upgradeNet(parseText(text, 'NetParameter', file))
}
