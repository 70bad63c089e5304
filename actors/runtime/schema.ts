import { InvalidParametersError, VersionError } from '../../common/index.ts'

/** What any validator library offers (zod, valibot, arktype …): Standard Schema, version 1. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** State that is kept, with what is needed to read what older code wrote. */
export interface VersionedState<S> {
  schema: StandardSchema<any, S>
  /** Of this shape; rises by one with each migration. @default 1 */
  version?: number
  /** State of a new actor. @default what the schema makes of `{}` */
  initial?: (key: string) => S
  /** `migrations[v]` makes version v + 1 out of version v. */
  migrations?: Record<number, (old: any) => unknown>
}

export type StateSpec<S> = StandardSchema<any, S> | VersionedState<S>

export function versioned<S>(spec: StateSpec<S>): VersionedState<S> & { version: number } {
  return '~standard' in spec ? { schema: spec, version: 1 } : { ...spec, version: spec.version ?? 1 }
}

/**
 * `value` as the schema gives it back.
 *
 * @param what - names the value in the error
 * @throws InvalidParametersError that says where it does not fit
 */
export async function validate<T>(schema: StandardSchema<any, T>, value: unknown, what: string): Promise<T> {
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result.value
  const [issue] = result.issues
  const path = issue?.path?.map(part => String(typeof part === 'object' && part !== null ? (part as { key: unknown }).key : part)).join('.')
  throw new InvalidParametersError(`${what}${path ? `, ${path}` : ''}: ${issue?.message ?? 'does not fit its schema'}`)
}

/**
 * The state an activation begins with: that which was kept, brought to the present version, or a new actor's.
 *
 * @throws VersionError when what was kept is newer than this code, or no migration leads from it
 * @throws InvalidParametersError when it does not fit the schema
 */
export async function openState<S>(
  spec: StateSpec<S>,
  name: string,
  key: string,
  kept: { version: number; value: unknown } | undefined
): Promise<S> {
  const { schema, version, initial, migrations = {} } = versioned(spec)
  if (kept === undefined) return await validate(schema, initial === undefined ? {} : initial(key), `the first state of ${name}`)
  if (kept.version > version) {
    throw new VersionError(`the state of ${name} has version ${kept.version} and this code knows ${version}: deploy the newer code again`)
  }
  let { value } = kept
  for (let v = kept.version; v < version; v++) {
    const migrate = Object.hasOwn(migrations, v) ? migrations[v] : undefined
    if (migrate === undefined) throw new VersionError(`the state of ${name} has version ${v} and no migration leads from it to ${v + 1}`)
    value = migrate(value)
  }
  return await validate(schema, value, `the state of ${name}`)
}
