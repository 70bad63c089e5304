import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkAddon } from '../../cli/doctor/addon.ts'
import { checkEngine } from '../../cli/doctor/engine.ts'
import { checkFabrics } from '../../cli/doctor/fabrics.ts'
import type { Machine } from '../../cli/doctor/finding.ts'
import { checkNode } from '../../cli/doctor/node.ts'
import { checkState } from '../../cli/doctor/state.ts'

/** A machine on which everything runs. */
const good: Machine = {
  nodeVersion: '26.1.0',
  stateBase: '',
  gpus: async () => ({ devices: [{ id: 'gpu:0', kind: 'gpu', name: 'Accelerator 9', memory: 24e9, providers: [] }] }),
  fabrics: async () => [
    { kind: 'infiniband', device: 'mlx5_0:1', linkLayer: 'InfiniBand', rate: 400 },
    { kind: 'tcp', device: 'tcp' }
  ],
  native: async () => ({ level: 'avx2', arenas: true }),
  tryProvider: async () => undefined
}

t.test('a Node that is too old cannot train', async t => {
  t.match(await checkNode(good), [{ standing: 'ok' }])
  t.match(await checkNode({ ...good, nodeVersion: '20.20.2' }), [{ standing: 'broken', mend: /install Node/ }])
})

t.test('each GPU is named, and each provider that a session ran on', async t => {
  t.match(await checkEngine(good), [
    { check: 'device gpu:0', standing: 'ok', message: 'Accelerator 9, 24.0 GB' },
    { check: 'provider cpu', standing: 'ok' },
    { check: 'provider cuda', standing: 'ok' },
    { check: 'provider webgpu', standing: 'ok' }
  ])
})

t.test('a GPU whose provider fails is a lack with its cause and the command that mends it', async t => {
  const tryProvider = async (name: string) => (name === 'cuda' ? 'libcudnn.so.9 is missing' : undefined)
  const findings = await checkEngine({ ...good, tryProvider })
  t.match(findings[2], { check: 'provider cuda', standing: 'lacks', message: /libcudnn.so.9/, mend: /npm rebuild onnxruntime-node/ })
})

t.test('no GPU is a lack, no engine a failure', async t => {
  const machine: Machine = {
    ...good,
    gpus: async () => ({ devices: [], problem: 'nvidia-smi lists no GPU' }),
    tryProvider: async () => 'not installed'
  }
  t.match(await checkEngine(machine), [
    { check: 'device gpu', standing: 'lacks', message: /nvidia-smi lists no GPU/ },
    { check: 'provider cpu', standing: 'broken', message: /not installed/, mend: /npm install onnxruntime-node/ }
  ])
})

t.test('fabrics', async t => {
  t.match(await checkFabrics(good), [{ check: 'fabric mlx5_0:1', standing: 'ok', message: /infiniband, 400 Gbit\/s/ }])
  t.match(await checkFabrics({ ...good, fabrics: async () => [{ kind: 'tcp', device: 'tcp' }] }), [{ check: 'fabric', standing: 'lacks' }])
})

t.test('the state folder must be writable and short enough for a socket', async t => {
  const base = mkdtempSync(join(tmpdir(), 'gm-'))
  t.teardown(() => rmSync(base, { recursive: true }))
  t.match(await checkState({ ...good, stateBase: join(base, 'gradmesh') }), [{ standing: 'ok' }])
  t.match(await checkState({ ...good, stateBase: join(base, 'x'.repeat(110)) }), [{ standing: 'broken', message: /too long/ }])
  t.match(await checkState({ ...good, stateBase: '/dev/null/gradmesh' }), [{ standing: 'broken', message: /cannot be used/ }])
})

t.test('without the native layer the cause and the way to build it are told', async t => {
  t.match(await checkAddon(good), [{ check: 'addon', standing: 'ok', message: /avx2, shared memory/ }])
  const native = async () => ({ level: 'typescript', arenas: false, problem: 'it is not built' }) as const
  t.match(await checkAddon({ ...good, native }), [{ standing: 'lacks', message: /it is not built/, mend: /g\+\+/ }])
})
