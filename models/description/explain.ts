import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { kinds } from './schema.ts'

type Issue = z.core.$ZodIssue
type Path = (string | number)[]

/** One thing that is wrong, in words: where, at which key, and what to write instead. */
export interface Explanation {
  path: Path
  /** A key of what lies at `path`, when it is the key that is wrong. */
  key?: string
  message: string
}

/** What the schema found wrong first, said so that it can be mended. */
export function explain(schema: z.core.$ZodType, value: unknown, issue: Issue): Explanation {
  const path = issue.path as Path
  if (issue.code === 'invalid_union' && typeof issue.discriminator === 'string')
    return unknownKind(schema, value, path, issue.discriminator)
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // Of the forms that a value may have, the one that it comes closest to.
    const inner = issue.errors.map(e => e[0]).filter(i => i !== undefined)
    const given = at(value, path)
    const deepest = inner.find(i => i.path.length > 0) ?? inner.find(i => i.code !== 'invalid_type' && i.code !== 'invalid_value')
    if (given !== undefined && deepest !== undefined)
      return explain(schema, value, { ...deepest, path: [...path, ...deepest.path] } as Issue)
    const expected = inner.flatMap(i =>
      i.code === 'invalid_type' ? [noun(i.expected)] : i.code === 'invalid_value' ? i.values.map(show) : []
    )
    return mistaken(value, path, [...new Set(expected)].join(' or '))
  }
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]
    const known = keysAt(schema, value, path)
    const owner = path.length === 0 ? 'a description' : label(path, value)
    const close = nearest(key, known)
    const hint = close !== '' ? close : known.length === 0 ? '' : `; known: ${known.join(', ')}`
    return { path, key, message: `${owner} has no field '${short(key)}'${hint}` }
  }
  if (issue.code === 'invalid_value') {
    const given = at(value, path)
    const choices = issue.values.map(String)
    const close = typeof given === 'string' ? nearest(given, choices) : ''
    return { path, message: `${label(path)} must be ${choices.join(', ')}, not ${show(given)}${close}` }
  }
  if (issue.code === 'invalid_type') return mistaken(value, path, noun(issue.expected))
  if (issue.code === 'too_small') return { path, message: `${label(path)} must be at least ${issue.minimum}${unit(issue.origin)}` }
  if (issue.code === 'too_big') return { path, message: `${label(path)} must be at most ${issue.maximum}${unit(issue.origin)}` }
  return { path, message: `${label(path)}: ${issue.message}` }
}

/** Something of the wrong sort, or nothing at all. */
function mistaken(value: unknown, path: Path, expected: string): Explanation {
  const given = at(value, path)
  const owner = path.slice(0, -1)
  if (given === undefined && path.length > 0)
    return { path: owner, message: `${label(owner, value)} lacks '${String(path.at(-1))}', ${expected}` }
  return { path, message: `${label(path)} must be ${expected}, not ${kindOf(given)}` }
}

/** A mapping whose kind, its `type` or `policy`, is none that is known; or none at all. A text stands for a mapping with that kind. */
function unknownKind(schema: z.core.$ZodType, value: unknown, path: Path, discriminator: string): Explanation {
  const owner = path.at(-1) === discriminator ? path.slice(0, -1) : path
  const holder = at(value, owner)
  const known = kindsAt(schema, value, owner, discriminator)
  const given = typeof holder === 'string' ? holder : (holder as Record<string, unknown> | null | undefined)?.[discriminator]
  const choices = `; known: ${known.join(', ')}`
  if (typeof given !== 'string') {
    if (holder === null || typeof holder !== 'object' || Array.isArray(holder))
      return { path: owner, message: `${label(owner)} must be a mapping with a ${discriminator}, not ${kindOf(holder)}` }
    return { path: owner, message: `${label(owner)} lacks its ${discriminator}${choices}` }
  }
  const close = nearest(given, known)
  const place = typeof holder === 'string' ? owner : [...owner, discriminator]
  return { path: place, message: `${label(place)}: nothing is called '${short(given)}' there${close === '' ? choices : close}` }
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (v, key) => (v === null || typeof v !== 'object' ? undefined : (v as Record<string | number, unknown>)[key]),
    value
  )
}

interface Definition {
  type: string
  innerType?: z.core.$ZodType
  out?: z.core.$ZodType
  options?: z.core.$ZodType[]
  shape?: Record<string, z.core.$ZodType>
  element?: z.core.$ZodType
  valueType?: z.core.$ZodType
  values?: unknown[]
}

function definition(schema: z.core.$ZodType | undefined): Definition | undefined {
  return schema?._zod.def as Definition | undefined
}

/** The schema of what lies at a path. */
function schemaAt(schema: z.core.$ZodType, value: unknown, path: Path): z.core.$ZodType | undefined {
  let here: z.core.$ZodType | undefined = schema
  for (let i = 0; i < path.length && here !== undefined; i++) {
    const def = definition(unwrap(here, at(value, path.slice(0, i))))
    here = def?.type === 'object' ? def.shape?.[path[i]] : def?.type === 'array' ? def.element : def?.valueType
  }
  return here
}

/** Fields that the object at a path takes. */
function keysAt(schema: z.core.$ZodType, value: unknown, path: Path): string[] {
  const found = schemaAt(schema, value, path)
  const def = found && definition(unwrap(found, at(value, path)))
  return Object.keys(def?.shape ?? {})
}

/** What the discriminator of the union at a path may be. */
function kindsAt(schema: z.core.$ZodType, value: unknown, path: Path, discriminator: string): string[] {
  let def = definition(schemaAt(schema, value, path))
  while (def !== undefined && def.options === undefined) def = definition(def.innerType ?? def.out)
  return (def?.options ?? []).flatMap(o => (definition(definition(o)?.shape?.[discriminator])?.values ?? []).map(String))
}

/** The object, array or record within what wraps it; of a union the member that the value is closest to. */
function unwrap(schema: z.core.$ZodType, value: unknown): z.core.$ZodType | undefined {
  const def = definition(schema)!
  const within = def.innerType ?? (def.type === 'pipe' ? def.out : undefined)
  if (within !== undefined) return unwrap(within, value)
  if (def.options === undefined) return schema
  const fits = (option: z.core.$ZodType, key: string) => {
    const literal = definition(definition(option)?.shape?.[key])
    return literal?.values !== undefined && literal.values[0] === (value as Record<string, unknown> | null | undefined)?.[key]
  }
  const own = def.options.find(o => fits(o, 'type')) ?? def.options.find(o => fits(o, 'policy'))
  const plain = def.options.find(o => definition(unwrap(o, value))?.type === (Array.isArray(value) ? 'array' : 'object'))
  const chosen = own ?? plain
  return chosen && unwrap(chosen, value)
}

/** `layers[2].weight`; for a layer itself its type, too. */
function label(path: Path, value?: unknown): string {
  if (path.length === 0) return 'the description'
  const text = path.reduce<string>(
    (t, key) => (typeof key === 'number' ? `${t}[${key}]` : t === '' ? short(key) : `${t}.${short(key)}`),
    ''
  )
  const type = value === undefined ? undefined : (at(value, path) as { type?: unknown } | undefined)?.type
  return typeof type === 'string' && Object.hasOwn(kinds, type) ? `${text} (${type})` : text
}

function noun(expected: string): string {
  const nouns: Record<string, string> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a mapping',
    record: 'a mapping'
  }
  return nouns[expected] ?? expected
}

function unit(origin: string): string {
  return origin === 'string' ? ' characters long' : origin === 'array' || origin === 'set' ? ' entries long' : ''
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return show(value)
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${short(value)}'` : value !== null && typeof value === 'object' ? kindOf(value) : String(value)
}

/** Fit for one line of a message. */
function short(text: string): string {
  const clean = text.replace(/\p{C}/gu, '\ufffd')
  return clean.length > 80 ? `${clean.slice(0, 80)}…` : clean
}
