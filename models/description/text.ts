import { isMap, isScalar, LineCounter, parseDocument, visit, type Document as YamlDocument } from 'yaml'
import type { z } from 'zod'
import { InvalidParametersError, MalformedError, TooLargeError } from '../../common/index.ts'
import type { Graph } from '../graph/types.ts'
import { buildDescription, type ModelInput } from './build.ts'
import { type Description, document, type LayerPath, settle } from './document.ts'
import { explain } from './explain.ts'

/** Longest description, characters. */
const MAX_TEXT = 512 * 1024
/** Nodes that aliases may multiply a document by. */
const MAX_ALIASES = 100
/** Collections within collections; descriptions need five. */
const MAX_DEPTH = 64

/** A description that was read, and its place in its file. */
export interface ParsedDescription extends Description {
  /** The graph; errors name file, line and column of the layer. */
  build: (input?: ModelInput) => Graph
}

/**
 * A model described in YAML 1.2 or JSON, which is a part of it.
 *
 * @param file - what messages call the text
 * @throws MalformedError, InvalidParametersError, TooLargeError naming file, line and column
 */
export function parseDescription(text: string, file: string): ParsedDescription {
  if (text.length > MAX_TEXT)
    throw new TooLargeError(`${file} has ${text.length} characters; a model's description has at most ${MAX_TEXT}`)
  checkDepth(text, file)
  const lines = new LineCounter()
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`
  }
  const { doc, value } = read(text, file, lines, place)
  const at = (path: LayerPath, key?: string): string => place(offsetOf(doc, path, key))
  const checked = document.safeParse(value)
  if (!checked.success) {
    const { path, key, message } = explain(document, value, first(checked.error.issues))
    throw new InvalidParametersError(`${at(path, key)}: ${message}`)
  }
  const { description, paths } = settle(checked.data, (path, why) => {
    throw new InvalidParametersError(`${at(path)}: ${why}`)
  })
  return {
    ...description,
    build: input => {
      try {
        return buildDescription(description.model, input, layer => at(paths[layer]))
      } catch (error) {
        if (error instanceof InvalidParametersError && !error.message.startsWith(`${file}:`))
          throw new InvalidParametersError(`${file}: ${error.message}`, { cause: error })
        throw error
      }
    }
  }
}

/** A misspelt key explains the one that is missing. */
function first(issues: z.core.$ZodIssue[]): z.core.$ZodIssue {
  return issues.find(i => i.code === 'unrecognized_keys') ?? issues[0]
}

function read(text: string, file: string, lines: LineCounter, place: (offset: number) => string): { doc: YamlDocument; value: unknown } {
  let doc: YamlDocument
  try {
    // Keys are compared below: the parser's own comparison takes quadratic time.
    doc = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false })
  } catch (error) {
    // The parser is recursive where brackets are.
    throw new MalformedError(`${file}: not a YAML or JSON document (${(error as Error).message.split('\n')[0].slice(0, 200)})`, {
      cause: error
    })
  }
  const wrong = doc.errors[0] ?? doc.warnings[0]
  if (wrong !== undefined) throw new MalformedError(`${place(wrong.pos[0])}: ${wrong.message.split('\n')[0].slice(0, 200)}`)
  visit(doc, {
    Map(_, map) {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        if (!isScalar(key) || typeof key.value !== 'string')
          throw new MalformedError(`${place((key as { range?: [number] })?.range?.[0] ?? map.range?.[0] ?? 0)}: a key must be a text`)
        if (seen.has(key.value)) throw new MalformedError(`${place(key.range?.[0] ?? 0)}: '${key.value.slice(0, 100)}' is there twice`)
        if (key.value === '__proto__') throw new MalformedError(`${place(key.range?.[0] ?? 0)}: nothing can be called '__proto__'`)
        seen.add(key.value)
      }
    }
  })
  try {
    return { doc, value: doc.toJS({ maxAliasCount: MAX_ALIASES }) }
  } catch (error) {
    throw new MalformedError(`${file}: ${(error as Error).message.split('\n')[0].slice(0, 200)}; write out what its aliases stand for`, {
      cause: error
    })
  }
}

/** Refuses brackets and indentation deeper than any description before a recursive parser meets them. */
function checkDepth(text: string, file: string): void {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 91 || c === 123) depth++
    else if ((c === 93 || c === 125) && depth > 0) depth--
    if (depth > MAX_DEPTH) {
      const before = text.slice(0, i).split('\n')
      throw new MalformedError(`${file}:${before.length}:${before.at(-1)!.length + 1}: more than ${MAX_DEPTH} brackets are open`)
    }
  }
}

/** Where a value, or one key of it, begins; the nearest thing around it where it is not there. */
function offsetOf(doc: YamlDocument, path: LayerPath, key?: string): number {
  let offset = doc.contents?.range?.[0] ?? 0
  for (let n = 0; n <= path.length; n++) {
    const node = (n === 0 ? doc.contents : doc.getIn(path.slice(0, n), true)) as { range?: [number, number, number] | null } | undefined
    if (node?.range == null) break
    offset = node.range[0]
  }
  if (key === undefined) return offset
  const holder = path.length === 0 ? doc.contents : doc.getIn(path, true)
  const pair = isMap(holder) ? holder.items.find(item => isScalar(item.key) && item.key.value === key) : undefined
  return (pair?.key as { range?: [number] } | undefined)?.range?.[0] ?? offset
}
