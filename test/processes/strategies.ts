import type { Test } from 'tap'
import { Cluster, spec, Watch } from './cluster.ts'

/** What a strategy trains with on three real nodes, and the accuracy on drawn digits that it must reach. */
export const sweep: { strategy: string; options?: Record<string, string | number | boolean>; lr?: number; accuracy?: number }[] = [
  { strategy: 'local-sgd' },
  { strategy: 'bmuf', options: { h: 4, 'block-momentum': 0.3 } },
  { strategy: 'slowmo', options: { h: 4, beta: 0.4 } },
  { strategy: 'diloco', options: { h: 10 }, lr: 0.003 },
  { strategy: 'gosgd' },
  { strategy: 'sgp' },
  { strategy: 'osgp' },
  { strategy: 'ad-psgd' },
  { strategy: 'd-psgd' },
  { strategy: 'moshpit' },
  { strategy: 'noloco', options: { h: 5 } },
  { strategy: 'softsync', options: { momentum: 0.5 }, lr: 0.02 },
  { strategy: 'downpour' },
  { strategy: 'fasgd', lr: 0.005, accuracy: 0.5 },
  { strategy: 'dc-asgd' },
  { strategy: 'ssp' },
  { strategy: 'easgd' },
  { strategy: 'eamsgd' }
]

/**
 * Trains with a strategy on three nodes over the loopback interface; one is killed and another joins in the middle. The job is stopped
 * once the newcomer trains and the model scores well enough, and every epoch that ended until then has committed all samples.
 */
export async function killAndJoin(t: Test, { strategy, options, lr = 0.005, accuracy = 0.6 }: (typeof sweep)[number]) {
  const cluster = await Cluster.create(t)
  const a = await cluster.join('a')
  await Promise.all([cluster.join('b'), cluster.join('c')])
  await cluster.members(3)
  const { job } = await a.client.submit(spec({ strategy, lr, epochs: 60, ...(options === undefined ? {} : { strategyOptions: options }) }))
  const watch = new Watch(a.client, job)
  await watch.event('10 steps', e => e.type === 'metrics' && e.step >= 10)
  await cluster.nodes[2]!.kill()
  const before = new Set(watch.events.flatMap(e => (e.type === 'metrics' ? [e.trainer] : [])))
  await cluster.join('d')
  const first = await watch.event('the newcomer to train', e => e.type === 'metrics' && !before.has(e.trainer))
  t.ok(first.type === 'metrics' && Number.isFinite(first.loss), `${strategy}: the newcomer trains`)
  const from = watch.events.length
  const good = await watch.event(
    `an accuracy of ${accuracy}`,
    e => e.type === 'evaluation' && (e.accuracy ?? 0) >= accuracy && watch.events.indexOf(e) >= from
  )
  t.comment(`${strategy}: test accuracy ${good.type === 'evaluation' && ((good.accuracy ?? 0) * 100).toFixed(1)} %`)
  for (const [epoch, { committed }] of watch.epochs()) t.equal(committed, 2000, `${strategy}: epoch ${epoch} commits every sample`)
  await a.client.stop(job)
  t.equal((await a.client.job(job)).state, 'stopped')
}
