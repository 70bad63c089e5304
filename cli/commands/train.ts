import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { version } from '../../actors/training/node/version.ts'
import type { JobSpec } from '../../actors/training/service-types.ts'
import { GradmeshError, InvalidParametersError } from '../../common/index.ts'
import type { Context, LocalNode } from '../context.ts'
import { findNode, otherNode } from '../control/discover.ts'
import { serveEmbedded } from '../control/embedded.ts'
import type { ControlServer } from '../control/server.ts'
import { showJob, type Through } from '../follow.ts'
import { interruptible } from '../interrupt.ts'
import { type JobFlags, jobSpec } from '../job-spec.ts'
import { flag, list, nodeCommand, text } from '../options.ts'
import { integer, number, oneOf, option } from '../parse.ts'
import { earlierRun, RunFolder } from '../run-folder.ts'
import { percent } from '../terminal/format.ts'
import type { JobView } from '../terminal/job-view.ts'
import { nodeLogger } from '../terminal/logger.ts'
import { updateOptions } from '../update.ts'

const INTERRUPTED = 130

interface TrainFlags extends JobFlags {
  out?: string
  resume?: string
  snapshot?: string
  detach?: boolean
  embedded?: boolean
  dataRoot?: string[]
  minAccuracy?: number
  node?: string
}

/** Where the job runs, and whether this process holds that place up. */
interface Place extends Through {
  embedded?: { node: LocalNode; control: ControlServer }
}

export function trainCommand(context: Context): Command {
  const strategyOption = flag('--strategy-option <key=value>', 'an option of the strategy (docs/strategies.md); may be repeated', text)
  strategyOption.argParser((value, before?: JobFlags['strategyOption']) => option('--strategy-option', value, before))
  const trainers = (name: string, value: string) => (value === 'all' ? 'all' : integer(1, 4096)(name, value))
  const command = nodeCommand(
    'train',
    'train a model: on the mesh of the node that runs here (the job outlives this command), else on trainers of its own'
  )
    .addOption(
      flag(
        '--model <name|file>',
        'a model of the zoo, as lenet (docs/models.md); or an ONNX, YAML, JSON or Caffe (.prototxt) file, which travels with the job',
        text
      )
    )
    .addOption(flag('--solver <file>', "a solver of Caffe's: its net, rates, iterations, tests and snapshots (docs/caffe.md)", text))
    .addOption(flag('--weights <file>', 'values to begin with: a .caffemodel for a net of Caffe’s', text))
    .addOption(flag('--data <uri>', 'digits, shapes32, fables, text:FILE, fashion-mnist, idx:DIR or cifar:DIR', text))
    .addOption(flag('--loss <name>', 'softmax-ce, soft-ce, bce, mse, l1, huber, or output:NAME of the model (default: softmax-ce)', text))
    .addOption(list('--freeze <glob>', 'parameters that stay as they are, by name with * and ?; may be repeated', text))
    .addOption(
      flag(
        '--strategy <name>',
        'how trainers share what they learn (docs/strategies.md); gossip waits for nobody (default: allreduce)',
        text
      )
    )
    .addOption(strategyOption)
    .addOption(flag('--codec <name>', 'of gradients on their way: fp16, bf16, int8, top-k:0.01, threshold:0.001, sign, qsgd', text))
    .addOption(flag('--aggregate <name>', 'instead of the mean: median, trimmed-mean, centered-clipping or krum', text))
    .addOption(flag('--trainers <n|all>', 'trainers to use (default: all)', trainers))
    .addOption(flag('--epochs <n>', 'passes over the data (default: 3)', integer(1, 1_000_000)))
    .addOption(flag('--steps <n>', 'steps to train, in place of --epochs or before they are over', integer(1)))
    .addOption(flag('--batch <n>', 'samples a step of each trainer (default: 32)', integer(1, 1_000_000)))
    .addOption(
      flag('--global-batch <n>', 'samples a step of all trainers together, split anew when the group changes', integer(1, 100_000_000))
    )
    .addOption(flag('--accumulate <k>', 'batches a step, one after the other, whose gradients are summed (default: 1)', integer(1, 65_536)))
    .addOption(flag('--lr <rate>', 'learning rate (default: 0.01)', number({ above: 0, to: 1e6 })))
    .option('--scale-lr', 'scale the rate with the size of the group')
    .addOption(flag('--seed <n>', 'of every random choice of the job (default: 1)', integer(0)))
    .addOption(
      flag('--on-split <what>', 'when too few nodes are left to agree: wait or continue (default: wait)', oneOf('wait', 'continue'))
    )
    .option('--wait', 'wait for trainers that the mesh does not have yet')
    .addOption(flag('--checkpoint-every <steps>', 'default: at the end of each epoch', integer(1)))
    .addOption(flag('--evaluate-every <steps>', 'score the test data so often (default: at the end of each epoch)', integer(1)))
    .addOption(flag('--log-every <steps>', 'steps between two reports of a trainer (default: 10)', integer(1, 1_000_000)))
    .addOption(flag('--name <text>', 'a name for people', text))
    .option('--out <dir>', "the run's folder (default: runs/MODEL-DATA-TIME)")
    .option('--resume <dir>', "go on from a run's newest checkpoint, in its folder; other flags change what they name")
    .option('--snapshot <file>', 'go on from a .solverstate of Caffe’s and the weights that it names')
    .option('--detach', 'hand the job in and end; only with a running node')
    .option('--embedded', 'use trainers of its own although a node runs here')
    .addOption(list('--data-root <dir>', 'folder that --data may name paths in, without a running node; may be repeated', text))
    .addOption(flag('--min-accuracy <a>', 'exit 1 when the test accuracy at the end is lower', number({ from: 0, to: 1 })))
    .action(flags => train(context, flags))
  for (const option of updateOptions()) command.addOption(option)
  return command
}

async function train(context: Context, flags: TrainFlags): Promise<void> {
  if (flags.detach && flags.out !== undefined) {
    throw new InvalidParametersError('--out is filled by the one who follows: without --detach, or later by mesh fetch JOB --out DIR')
  }
  if (flags.embedded && (flags.detach || flags.node !== undefined)) {
    throw new InvalidParametersError('--embedded trains in this very process: it goes with neither --detach nor --node')
  }
  const { spec, folder, resumed } = await prepare(context, flags)
  let begun = false
  // What the first Ctrl-C does; until the job has begun there is nothing to save.
  let onFirst = (abort: () => void) => abort()
  try {
    await interruptible(
      context,
      abort => onFirst(abort),
      async signal => {
        const place = await choosePlace(context, flags, spec, signal)
        try {
          const { job, warnings } = await place.service.submit(spec, { signal })
          begun = true
          for (const warning of warnings) context.output.warn(warning)
          context.output.record({ type: 'submitted', job, out: folder?.path ?? null })
          if (folder === undefined) {
            context.output.line(`job ${job} has begun; follow it: mesh logs ${job}`)
            return
          }
          folder.writeConfig({ job, spec, version, node: process.version, started: context.date().toISOString(), resumed: resumed ?? null })
          context.output.line(`job ${job}, results in ${folder.path}`)
          const following = new AbortController()
          const stop = place.embedded === undefined ? stopFollowing : stopJob
          onFirst = () => stop(context, place, job, following)
          const view = await followInto(context, place, job, folder, AbortSignal.any([signal, following.signal]))
          conclude(context, flags, view, folder)
        } finally {
          await closePlace(place)
        }
      }
    )
  } finally {
    if (begun) folder?.close()
    else folder?.abandon()
  }
}

/** Everything that can be refused before anything is started. */
async function prepare(context: Context, flags: TrainFlags): Promise<{ spec: JobSpec; folder?: RunFolder; resumed?: string }> {
  if (flags.resume !== undefined) {
    if (flags.snapshot !== undefined)
      throw new InvalidParametersError('--resume goes on from a run, --snapshot from a file: give one of the two')
    const path = resolve(context.cwd, flags.resume)
    if (flags.out !== undefined && resolve(context.cwd, flags.out) !== path) {
      throw new InvalidParametersError('--resume goes on in the folder it names; leave --out away')
    }
    if (flags.detach) throw new InvalidParametersError('--resume fills the folder it names; leave --detach away')
    const { config, checkpoint } = earlierRun(path)
    // The run's own copy of the model goes before the file that it was made of.
    const model = flags.solver === undefined ? (flags.model ?? (await copyOf(config.spec.model, path))) : undefined
    // A solver that is named anew is the next stage: what it says goes before the run's own.
    const earlier = { ...config.spec, ...(await said(context, flags.solver)) }
    const weights = flags.weights ?? (earlier.weights === undefined ? undefined : copyOfWeights(path))
    const spec = await checked(context, { ...jobSpec({ ...flags, model, weights }, context.cwd, earlier), resume: checkpoint })
    const folder = RunFolder.resume(path)
    return { spec, folder, resumed: checkpoint }
  }
  const asked = jobSpec(flags, context.cwd, await said(context, flags.solver ?? flags.model))
  const spec = await checked(context, flags.snapshot === undefined ? asked : { ...asked, resume: snapshotFile(context, flags.snapshot) })
  if (flags.detach) return { spec }
  return { spec, folder: RunFolder.create(resolve(context.cwd, flags.out ?? defaultOut(spec, context.date()))) }
}

/** @throws InvalidParametersError when it is no file of the kind */
function snapshotFile(context: Context, file: string): string {
  const path = resolve(context.cwd, file)
  if (!path.endsWith('.solverstate')) throw new InvalidParametersError(`--snapshot takes a .solverstate, not ${file}`)
  if (!existsSync(path)) throw new InvalidParametersError(`--snapshot ${file}: there is no such file`)
  return path
}

/** What the file of a model, or a solver, says of how it is trained; the user hears what of it is done otherwise. */
async function said(context: Context, file: string | undefined): Promise<Partial<JobSpec>> {
  if (file === undefined) return {}
  const { modelNotes, modelSettings, sourceOf } = await import('../../actors/training/index.ts')
  const model = sourceOf(file) === undefined ? file : resolve(context.cwd, file)
  const settings = await modelSettings(model)
  for (const note of await modelNotes(model)) context.output.warn(note)
  return settings
}

/** The job with its model's file by an absolute path, once that file is found to be sound. */
async function checked(context: Context, spec: JobSpec): Promise<JobSpec> {
  const { checkModel, sourceOf } = await import('../../actors/training/index.ts')
  const model = sourceOf(spec.model) === undefined ? spec.model : resolve(context.cwd, spec.model)
  await checkModel({ ...spec, model })
  return { ...spec, model }
}

/** The copy of a model's file that a run's folder holds. */
async function copyOf(model: string, run: string): Promise<string | undefined> {
  const { modelFileName } = await import('../../actors/training/index.ts')
  const copy = join(run, 'model', modelFileName(model))
  return existsSync(copy) ? copy : undefined
}

/** The copy of the values that a run began with. */
function copyOfWeights(run: string): string | undefined {
  const copy = join(run, 'model', 'weights.caffemodel')
  return existsSync(copy) ? copy : undefined
}

/** `runs/lenet-digits-20260131-235959`. */
function defaultOut(spec: JobSpec, date: Date): string {
  const data = spec.data.replace(/[^A-Za-z0-9-].*$/s, '')
  const time = date
    .toISOString()
    .replace(/[-:]|\..*$/g, '')
    .replace('T', '-')
  return join(
    'runs',
    `${basename(spec.model)
      .replace(/[^\w.-]/g, '_')
      .slice(0, 64)}-${data}-${time}`
  )
}

async function choosePlace(context: Context, flags: TrainFlags, spec: JobSpec, signal: AbortSignal): Promise<Place> {
  if (!flags.embedded) {
    const found = await findNode({ base: context.stateBase, node: flags.node, embedded: flags.node !== undefined, signal })
    if (found !== undefined) {
      context.output.line(`handing the job to node ${found.name}`)
      return { service: found.client }
    }
    if (flags.detach) throw new InvalidParametersError('--detach needs a running node that keeps the job; start one with mesh join')
  }
  const trainers = spec.trainers === 'all' ? availableParallelism() : spec.trainers
  const dataRoots = flags.dataRoot?.map(root => resolve(context.cwd, root))
  const node = await context.startEmbedded({ trainers, dataRoots, logger: nodeLogger(context.output, 'warn'), signal })
  for (const warning of node.warnings) context.output.warn(warning)
  try {
    return { service: node, embedded: { node, control: await serveEmbedded(context.stateBase, node) } }
  } catch (error) {
    await node.close()
    throw error
  }
}

async function closePlace({ embedded }: Place): Promise<void> {
  await embedded?.control.close()
  await embedded?.node.close()
}

/** Follows the job to its end; the folder is filled on the way, so that a checkpoint outlives the node that made it. */
async function followInto(context: Context, place: Place, job: string, folder: RunFolder, signal: AbortSignal): Promise<JobView> {
  let syncing: Promise<unknown> = Promise.resolve()
  const sync = () => {
    syncing = syncing
      .then(() => folder.sync(place.service, job, { signal }))
      .catch(error => {
        if (!signal.aborted) context.output.warn(`the job's files could not be fetched now: ${(error as Error).message}`)
      })
  }
  const view = await showJob({
    through: place,
    job,
    output: context.output,
    next: async () => (place.embedded === undefined ? otherNode(context) : undefined),
    signal,
    onEvent(event) {
      folder.append(event)
      if (event.type === 'checkpoint') sync()
    }
  })
  await syncing
  await folder.sync(place.service, job, { signal })
  return view
}

function conclude(context: Context, flags: TrainFlags, view: JobView, folder: RunFolder): void {
  const { output } = context
  const accuracy = view.accuracy ?? null
  const model = join(folder.path, 'model.onnx')
  output.record({ type: 'result', job: view.job, state: view.state, accuracy, step: view.step, out: folder.path, model })
  if (view.state === 'failed') throw new GradmeshError(`job ${view.job} failed: ${view.message ?? 'no reason was given'}`)
  if (view.state !== 'done') {
    if (folder.resumable) output.line(`go on with: mesh train --resume ${quote(folder.path)}`)
    if (context.exitCode !== INTERRUPTED) context.exitCode = 1
    return
  }
  if (view.accuracy !== undefined) output.line(`test accuracy ${percent(view.accuracy)}`)
  output.line(`model ${model}`)
  if (flags.minAccuracy !== undefined && !((view.accuracy ?? 0) >= flags.minAccuracy)) {
    throw new GradmeshError(`the test accuracy ${percent(view.accuracy ?? 0)} is under --min-accuracy ${percent(flags.minAccuracy)}`)
  }
}

/** Ctrl-C while another process holds the job: it goes on. */
function stopFollowing({ output }: Context, _: Place, job: string, following: AbortController): void {
  output.endLive()
  output.line(
    `no longer following; the job goes on. Follow it: mesh logs ${job}; stop it: mesh stop ${job}; its results: mesh fetch ${job} --out DIR`
  )
  following.abort()
}

/** Ctrl-C while this process holds the job: a checkpoint, an orderly end, the way to go on. */
function stopJob(context: Context, { service }: Place, job: string, following: AbortController): void {
  context.exitCode = INTERRUPTED
  context.output.endLive()
  context.output.line('stopping with a checkpoint; Ctrl-C again stops at once')
  service.stop(job).catch(error => {
    context.output.error(error)
    following.abort()
  })
}

/** For a shell, where it must be quoted. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
