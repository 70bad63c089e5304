import { InvalidParametersError } from '../../common/index.ts'

/** Where messages for one actor go: its definition's name and its key, written `name/key`. */
export interface Address {
  actor: string
  key: string
}

const namePattern = /^[a-z][a-z0-9-]{0,63}$/
const MAX_KEY = 256

/** @throws InvalidParametersError when the name is no actor name or the key is empty, too long or holds control characters */
export function address(actor: string, key: string): Address {
  if (!namePattern.test(actor)) {
    throw new InvalidParametersError(`actor name ${JSON.stringify(actor.slice(0, 80))}: use lower-case letters, digits and dashes`)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (key === '' || key.length > MAX_KEY || /[\x00-\x1f\x7f]/.test(key)) {
    throw new InvalidParametersError(`actor key ${JSON.stringify(key.slice(0, 80))}: use 1 to ${MAX_KEY} printable characters`)
  }
  return { actor, key }
}

export function formatAddress(a: Address): string {
  return `${a.actor}/${a.key}`
}

/** @throws InvalidParametersError when `text` is not `name/key` */
export function parseAddress(text: string): Address {
  const slash = text.indexOf('/')
  if (slash < 0) throw new InvalidParametersError(`${JSON.stringify(text.slice(0, 80))} is no actor address: write name/key`)
  return address(text.slice(0, slash), text.slice(slash + 1))
}
