import type { Logger } from '../../common/index.ts'
import { plain } from './format.ts'
import type { Output } from './output.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error'

const order: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 }

/** What a node in this process has to say, from `least` upwards, on stderr. */
export function nodeLogger(output: Output, least: Level, component = ''): Logger {
  const at =
    (level: Level) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      if (order[level] < order[least]) return
      output.log({ level, component, message: plain(message), ...fields })
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: name => nodeLogger(output, least, component === '' ? name : `${component}:${name}`)
  }
}
