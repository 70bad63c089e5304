import { InvalidParametersError } from '../common/index.ts'

/** A data set's URI, taken apart. */
export interface DatasetUri {
  name: string
  /** What follows `name:`, for data sets in a folder the user names. */
  path?: string
  /** Integers after `?`. */
  parameters: Map<string, number>
}

/** Which parameters a data set takes, with their bounds, and whether a path follows its name. */
export interface UriForm {
  /** Placeholder of the path in messages, where one follows. */
  path?: string
  parameters: Record<string, { min: number; max: number }>
}

const MAX_URI = 4096

/**
 * Takes `name`, `name?key=integer&…`, `name:PATH` or `name:PATH?key=…` apart and checks it against the form of `name`.
 *
 * @throws InvalidParametersError that names what is wrong and what would be right
 */
export function parseUri(uri: string, forms: ReadonlyMap<string, UriForm>): DatasetUri {
  if (typeof uri !== 'string' || uri.length > MAX_URI) {
    throw new InvalidParametersError(`the name of a data set is a text of at most ${MAX_URI} characters`)
  }
  const match = /^([^:?]*)(?::([^?]*))?(?:\?(.*))?$/s.exec(uri)
  const name = match?.[1] ?? ''
  const form = forms.get(name)
  if (form === undefined) {
    throw new InvalidParametersError(`there is no data set '${printable(uri)}'; choose one of ${listForms(forms)}`)
  }
  const path = match?.[2]
  if (form.path !== undefined && !path) {
    throw new InvalidParametersError(
      `'${printable(uri)}' lacks the ${form.path === 'FILE' ? 'file' : 'folder'}: write ${name}:${form.path}`
    )
  }
  if (form.path === undefined && path !== undefined) {
    throw new InvalidParametersError(`'${name}' takes no folder, but '${printable(uri)}' gives one`)
  }
  if (path?.includes('\0')) throw new InvalidParametersError(`the folder in '${printable(uri)}' holds a null character`)
  return { name, path, parameters: parseParameters(uri, match?.[3], form) }
}

/** The canonical text of a URI: parameters in the order of `parameters`. */
export function formatUri({ name, path, parameters }: DatasetUri): string {
  const query = Array.from(parameters, ([key, value]) => `${key}=${value}`).join('&')
  return name + (path === undefined ? '' : `:${path}`) + (query === '' ? '' : `?${query}`)
}

function parseParameters(uri: string, query: string | undefined, form: UriForm): Map<string, number> {
  const parameters = new Map<string, number>()
  if (query === undefined) return parameters
  const known = Object.keys(form.parameters)
  for (const part of query.split('&')) {
    const [key, text] = part.split(/=(.*)/s) as [string, string | undefined]
    const bounds = Object.hasOwn(form.parameters, key) ? form.parameters[key] : undefined
    if (bounds === undefined) {
      const choice = known.length === 0 ? 'it takes no parameters' : `known are ${known.join(', ')}`
      throw new InvalidParametersError(`unknown parameter '${printable(key)}' in '${printable(uri)}'; ${choice}`)
    }
    if (parameters.has(key)) throw new InvalidParametersError(`'${key}' is given twice in '${printable(uri)}'`)
    const value = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= bounds.min && value <= bounds.max)) {
      throw new InvalidParametersError(`'${key}' in '${printable(uri)}' must be an integer from ${bounds.min} to ${bounds.max}`)
    }
    parameters.set(key, value)
  }
  return parameters
}

function listForms(forms: ReadonlyMap<string, UriForm>): string {
  return Array.from(forms, ([name, form]) => (form.path === undefined ? name : `${name}:${form.path}`)).join(', ')
}

/** `text` fit for one line of a message. */
export function printable(text: string): string {
  const clean = text.replace(/\p{C}/gu, '\ufffd')
  return clean.length > 200 ? `${clean.slice(0, 200)}…` : clean
}
