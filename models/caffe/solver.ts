import type { Message } from './message.ts'
import type { CaffeNet } from './net.ts'
import { messageType } from './schema.ts'
import { parseText } from './text.ts'
import { upgradeNet } from './upgrade.ts'

/** A net that a solver names: by its file, or written into the solver. */
export type NetReference = { file: string; at: string } | { net: CaffeNet }

/** What Caffe's momentum and its kin are called, one solver type a kind. */
export type SolverUpdate =
  | { type: 'SGD' | 'Nesterov'; momentum: number }
  | { type: 'AdaGrad'; delta: number }
  | { type: 'RMSProp'; decay: number; delta: number }
  | { type: 'AdaDelta'; momentum: number; delta: number }
  | { type: 'Adam'; momentum: number; momentum2: number; delta: number }

/** Caffe's rate policies, with what each takes. */
export type SolverPolicy =
  | { policy: 'fixed' }
  | { policy: 'step'; gamma: number; stepSize: number }
  | { policy: 'multistep'; gamma: number; stepValues: number[] }
  | { policy: 'exp'; gamma: number }
  | { policy: 'inv'; gamma: number; power: number }
  | { policy: 'poly'; power: number; maxSteps: number }
  | { policy: 'sigmoid'; gamma: number; stepSize: number }

/** A solver, checked. Counts are of iterations. */
export interface CaffeSolver {
  train: NetReference
  /** The net that is tested, where it is another. */
  test?: NetReference
  /** States that count over the nets' own. */
  trainState?: Message
  testState?: Message
  update: SolverUpdate
  policy: SolverPolicy
  baseRate: number
  weightDecay: number
  regularization: 'L1' | 'L2'
  /** Largest norm of the gradient of an iteration, that of `iterSize` batches added up; absent: none. */
  clip?: number
  maxIter: number
  iterSize: number
  /** Batches of one test; absent: no tests. */
  testIter?: number
  /** Iterations between two tests; absent: none but at the beginning and the end. */
  testInterval?: number
  /** Test before the first iteration. */
  testFirst: boolean
  /** Iterations between two reports; absent: none. */
  display?: number
  snapshot?: number
  snapshotPrefix?: string
  seed?: number
  /** Files of weights to begin with. */
  weights: string[]
  /** What of the file has no effect here, one line each. */
  notes: string[]
}

const older: Record<string, string> = {
  SGD: 'SGD',
  NESTEROV: 'Nesterov',
  ADAGRAD: 'AdaGrad',
  RMSPROP: 'RMSProp',
  ADADELTA: 'AdaDelta',
  ADAM: 'Adam'
}

/** Whether a text is a solver's and not a net's: by the first field that only one of the two has. */
export function isSolver(text: string): boolean {
  const [solver, net] = [messageType('SolverParameter').fields, messageType('NetParameter').fields]
  for (const [, name] of text.matchAll(/^[ \t]*([a-z_0-9]+)[ \t]*[:{<]/gm)) {
    if (solver.has(name) !== net.has(name)) return solver.has(name)
  }
  return false
}

/**
 * Reads a solver.
 *
 * @param file - what errors call the text
 * @throws MalformedError naming file and position
 */
export function parseSolver(text: string, file: string): CaffeSolver {
  const s = parseText(text, 'SolverParameter', file)
  const maxIter = positive(s, 'max_iter') ?? s.fail("'max_iter' is missing: how many iterations are trained")
  const baseRate = s.number('base_lr')
  if (!(baseRate > 0)) s.fail("'base_lr' must be given and above 0")
  const clip = s.number('clip_gradients')
  const regularization = s.string('regularization_type')
  if (regularization !== 'L1' && regularization !== 'L2') s.fail(`'regularization_type' is L1 or L2, not '${regularization}'`)
  const solver: CaffeSolver = {
    ...nets(s),
    update: update(s),
    policy: policy(s, maxIter),
    baseRate,
    weightDecay: s.number('weight_decay'),
    regularization: regularization as 'L1' | 'L2',
    maxIter,
    iterSize: positive(s, 'iter_size') ?? 1,
    testFirst: s.bool('test_initialization'),
    weights: s.strings('weights').flatMap(list => list.split(',').map(name => name.trim())),
    notes: notes(s)
  }
  if (!(solver.weightDecay >= 0)) s.fail("'weight_decay' must be at least 0")
  if (clip >= 0) solver.clip = clip
  const [testIter] = s.numbers('test_iter')
  if (testIter !== undefined) {
    if (testIter < 1) s.fail("'test_iter' must be 1 or more")
    solver.testIter = testIter
  }
  const counts = { testInterval: 'test_interval', display: 'display', snapshot: 'snapshot' } as const
  for (const [key, field] of Object.entries(counts)) {
    const value = s.number(field)
    if (value < 0) s.fail(`'${field}' must be 0 or more`)
    if (value > 0) solver[key as keyof typeof counts] = value
  }
  if (solver.testInterval !== undefined && testIter === undefined)
    s.fail("'test_interval' needs 'test_iter': how many batches a test takes")
  if (s.has('snapshot_prefix')) solver.snapshotPrefix = s.string('snapshot_prefix')
  if (s.number('random_seed') >= 0) solver.seed = s.number('random_seed')
  return solver
}

function positive(s: Message, field: string): number | undefined {
  if (!s.has(field)) return undefined
  const value = s.number(field)
  return value >= 1 ? value : s.fail(`'${field}' must be 1 or more, not ${value}`)
}

function nets(s: Message): Pick<CaffeSolver, 'train' | 'test' | 'trainState' | 'testState'> {
  const given = ['train_net_param', 'train_net', 'net_param', 'net'].filter(field => s.has(field))
  if (given.length !== 1)
    s.fail(
      `a solver names its net once, as 'net', 'net_param', 'train_net' or 'train_net_param'; here ${given.length === 0 ? 'none does' : `${given.join(' and ')} do`}`
    )
  const train = reference(s, given[0])
  const tests = ['test_net_param', 'test_net'].filter(field => s.has(field))
  const many = tests.reduce((n, field) => n + (field === 'test_net' ? s.strings(field).length : s.messages(field).length), 0)
  if (many > 1 || s.messages('test_state').length > 1 || s.numbers('test_iter').length > 1) s.fail('only one net can be tested; leave one')
  const [trainState, testState] = [s.messages('train_state')[0], s.messages('test_state')[0]]
  return {
    train,
    ...(many === 1 ? { test: reference(s, tests[0]) } : {}),
    ...(trainState === undefined ? {} : { trainState }),
    ...(testState === undefined ? {} : { testState })
  }
}

function reference(s: Message, field: string): NetReference {
  return field.endsWith('param') ? { net: upgradeNet(s.message(field)) } : { file: s.string(field), at: s.at }
}

function update(s: Message): SolverUpdate {
  if (s.has('type') && s.has('solver_type')) s.fail("it has 'type' and the older 'solver_type'; give one of the two")
  const type = s.has('solver_type') ? older[s.string('solver_type')] : s.string('type')
  const [momentum, delta] = [s.number('momentum'), s.number('delta')]
  if (!(momentum >= 0 && momentum < 1)) s.fail(`'momentum' must be at least 0 and below 1, not ${momentum}`)
  const none = () => momentum !== 0 && s.fail(`momentum cannot be used with ${type}; leave it out`)
  switch (type) {
    case 'SGD':
    case 'Nesterov':
      return { type, momentum }
    case 'AdaGrad':
      none()
      return { type, delta }
    case 'RMSProp':
      none()
      return { type, decay: s.number('rms_decay'), delta }
    case 'AdaDelta':
      return { type, momentum, delta }
    case 'Adam':
      return { type, momentum, momentum2: s.number('momentum2'), delta }
    default:
      return s.fail(`there is no solver type '${type.slice(0, 60)}'; there are ${Object.values(older).join(', ')}`)
  }
}

function policy(s: Message, maxIter: number): SolverPolicy {
  const name = s.has('lr_policy') ? s.string('lr_policy') : s.fail('\'lr_policy\' is missing; for a constant rate write lr_policy: "fixed"')
  const needed = (field: string) => (s.has(field) ? s.number(field) : s.fail(`lr_policy "${name}" needs '${field}'`))
  switch (name) {
    case 'fixed':
      return { policy: name }
    case 'step':
      return { policy: name, gamma: needed('gamma'), stepSize: needed('stepsize') }
    case 'multistep':
      if (!s.has('stepvalue')) s.fail(`lr_policy "multistep" needs 'stepvalue'`)
      return { policy: name, gamma: needed('gamma'), stepValues: s.numbers('stepvalue') }
    case 'exp':
      return { policy: name, gamma: needed('gamma') }
    case 'inv':
      return { policy: name, gamma: needed('gamma'), power: needed('power') }
    case 'poly':
      return { policy: name, power: needed('power'), maxSteps: maxIter }
    case 'sigmoid':
      return { policy: name, gamma: needed('gamma'), stepSize: needed('stepsize') }
    default:
      return s.fail(`there is no lr_policy '${name.slice(0, 60)}'; there are fixed, step, multistep, exp, inv, poly, sigmoid`)
  }
}

function notes(s: Message): string[] {
  const found: string[] = []
  if (s.number('average_loss') > 1) found.push('average_loss: the loss is shown of single steps')
  if (s.string('snapshot_format') === 'HDF5') found.push('snapshot_format HDF5: snapshots are written as .caffemodel and .solverstate')
  if (s.bool('snapshot_diff')) found.push('snapshot_diff: snapshots hold no gradients')
  if (s.bool('debug_info')) found.push('debug_info: gradients are not printed')
  return found
}
