import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  decodeCapabilities,
  encodeCapabilities,
  findDevices,
  findFabrics,
  findGpus,
  parseNvidiaSmi
} from '../../../mesh/capabilities/index.ts'
import { folder, recorder } from '../fixtures.ts'

const H100 = '0, GPU-8f6e1c1a-3c52-7c1f-9a53-0c6c5b2f7a11, NVIDIA H100 80GB HBM3, 81559'
const A100 = '1, GPU-11111111-2222-3333-4444-555555555555, NVIDIA A100-SXM4-40GB, 40960'

t.test('GPUs are read from the vendor tool’s output', async t => {
  t.same(parseNvidiaSmi(`${H100}\n${A100}\n`), [
    {
      id: 'gpu:0',
      uuid: 'GPU-8f6e1c1a-3c52-7c1f-9a53-0c6c5b2f7a11',
      kind: 'gpu',
      name: 'NVIDIA H100 80GB HBM3',
      memory: 81559 * 2 ** 20,
      providers: []
    },
    {
      id: 'gpu:1',
      uuid: 'GPU-11111111-2222-3333-4444-555555555555',
      kind: 'gpu',
      name: 'NVIDIA A100-SXM4-40GB',
      memory: 40960 * 2 ** 20,
      providers: []
    }
  ])
  t.equal(parseNvidiaSmi('3, GPU-aa, Odd, Name, 100')[0]!.name, 'Odd, Name')
})

t.test('lines of another form are passed over', async t => {
  const lines = [
    '',
    'No devices were found',
    'NVIDIA-SMI has failed because it couldn’t communicate with the NVIDIA driver.',
    'index, uuid, name, memory.total [MiB]',
    '2, GPU-lost, NVIDIA A100, [N/A]',
    '[Unknown Error], GPU-x, NVIDIA A100, 40960',
    '-1, GPU-x, NVIDIA A100, 40960',
    '99999, GPU-x, NVIDIA A100, 40960',
    '4, 11111111-2222, NVIDIA A100, 40960',
    '5, GPU-y, , 40960',
    '6, GPU-z, NVIDIA A100',
    '7, GPU-w, NVIDIA A100, 99999999999',
    H100,
    H100
  ]
  t.same(
    parseNvidiaSmi(lines.join('\r\n')).map(d => d.id),
    ['gpu:0']
  )
  const seed = Date.now() % 2 ** 31
  t.comment('seed', seed)
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), text => Array.isArray(parseNvidiaSmi(text))),
    { seed }
  )
  t.ok(parseNvidiaSmi(Array.from({ length: 5000 }, (_, i) => `${i}, GPU-${i}, N, 1`).join('\n')).length <= 256, 'there is a limit')
})

t.test('a tool that is absent, fails, hangs or floods gives no GPU, within bounds', async t => {
  const directory = folder(t)
  const tool = (name: string, script: string) => {
    const path = join(directory, name)
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
    return path
  }
  t.same(await findGpus({ command: join(directory, 'absent') }), { devices: [] })
  t.match(await findGpus({ command: tool('fails', 'echo "No driver"; exit 9') }), { devices: [], problem: /fails failed: No driver/ })
  t.match(await findGpus({ command: tool('hangs', 'exec sleep 600'), timeout: 100 }), { devices: [], problem: /hangs failed/ })
  t.match(await findGpus({ command: tool('floods', 'exec yes') }), { devices: [], problem: /floods failed/ })
  t.match(await findGpus({ command: tool('empty', 'true') }), { devices: [], problem: /lists no GPU/ })
  t.match(await findGpus({ command: tool('works', `echo "${H100}"`) }), { devices: [{ id: 'gpu:0' }] })
  await t.rejects(findGpus({ command: tool('slow', 'exec sleep 600'), signal: AbortSignal.timeout(50) }), { name: 'AbortedError' })

  const probed: string[] = []
  const gpuOnly = await findDevices({
    command: join(directory, 'works'),
    probe: async device => {
      probed.push(device.id)
      return ['cuda']
    }
  })
  t.same(
    gpuOnly.map(d => [d.id, d.providers]),
    [['gpu:0', ['cuda']]]
  )
  t.same(probed, ['gpu:0'])
})

t.test('a GPU is offered only after a session has run on it', async t => {
  const path = join(folder(t), 'nvidia-smi')
  writeFileSync(path, `#!/bin/sh\necho "${H100}"; echo "${A100}"\n`)
  chmodSync(path, 0o755)
  const logger = recorder()
  const probe = async (device: { id: string; kind: string }) => {
    if (device.kind === 'cpu') return ['cpu']
    if (device.id === 'gpu:0') throw new Error('no CUDA provider')
    return ['cuda']
  }
  t.same(
    (await findDevices({ command: path, probe, logger, cpus: 2 })).map(d => [d.id, d.providers]),
    [
      ['gpu:1', ['cuda']],
      ['cpu:0', ['cpu']],
      ['cpu:1', ['cpu']]
    ]
  )
  t.match(logger.lines.join('\n'), /no session ran on NVIDIA H100 80GB HBM3 \(gpu:0\): no CUDA provider/)
  const error = await findDevices({ command: path, probe, gpus: 2 }).catch(e => e)
  t.match(error, { name: 'InvalidParametersError', exitCode: 2, message: /--gpus 2: 1 GPUs can train here .*give --cpus N/ })
  const none = await findDevices({ command: join(path, 'absent'), probe, gpus: 1 }).catch(e => e)
  t.match(none, { name: 'InvalidParametersError', message: /--gpus 1: 0 GPUs can train here \(.*\); to train on the CPU give --cpus N/ })
  await t.rejects(findDevices({ command: path, probe, gpus: 0, cpus: 1.5 }), { name: 'InvalidParametersError' })
  t.same(
    (await findDevices({ command: path, probe, gpus: 0 })).map(d => d.id),
    ['cpu:0']
  )
})

t.test('fabrics that are up are read from the kernel’s class, by their link layer', async t => {
  const root = folder(t)
  const port = (device: string, number: number, layer: string, state: string, rate: string) => {
    const path = join(root, device, 'ports', String(number))
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, 'link_layer'), `${layer}\n`)
    writeFileSync(join(path, 'state'), `${state}\n`)
    writeFileSync(join(path, 'rate'), `${rate}\n`)
  }
  port('mlx5_0', 1, 'InfiniBand', '4: ACTIVE', '400 Gb/sec (4X NDR)')
  port('mlx5_1', 1, 'Ethernet', '4: ACTIVE', '100 Gb/sec (4X EDR)')
  port('mlx5_1', 2, 'Ethernet', '1: DOWN', '40 Gb/sec (4X QDR)')
  port('mlx5_2', 1, 'InfiniBand', '2: INIT', '10 Gb/sec (4X SDR)')
  port('rxe0', 1, 'Ethernet', '4: ACTIVE', '2.5 Gb/sec (1X SDR)')
  port('odd', 1, 'Unspecified', '4: ACTIVE', 'fast')
  mkdirSync(join(root, 'empty'))
  t.same(await findFabrics(root, 'host'), [
    { kind: 'infiniband', device: 'mlx5_0:1', linkLayer: 'InfiniBand', rate: 400 },
    { kind: 'roce', device: 'mlx5_1:1', linkLayer: 'Ethernet', rate: 100 },
    { kind: 'roce', device: 'rxe0:1', linkLayer: 'Ethernet', rate: 2.5 },
    { kind: 'shm', device: 'host' },
    { kind: 'tcp', device: 'tcp' }
  ])
  t.same(
    (await findFabrics(join(root, 'absent'))).filter(fabric => fabric.kind !== 'shm'),
    [{ kind: 'tcp', device: 'tcp' }]
  )
})

t.test('capabilities survive the wire, and damaged ones are refused', async t => {
  const value = {
    peer: 'p',
    node: 'node',
    devices: [{ id: 'cpu:0', kind: 'cpu' as const, name: 'x', memory: 5, providers: ['cpu'], uuid: undefined }],
    fabrics: [{ kind: 'tcp' as const, device: 'tcp' }],
    labels: { rack: '7' },
    free: ['cpu:0']
  }
  t.match(decodeCapabilities('p', encodeCapabilities(value)), {
    ...value,
    devices: [{ id: 'cpu:0', kind: 'cpu', name: 'x', memory: 5, providers: ['cpu'] }]
  })
  for (const bytes of [new Uint8Array(0), new Uint8Array([0xff]), new Uint8Array([0xa0]), new Uint8Array(50_000).fill(0x81)]) {
    t.throws(() => decodeCapabilities('p', bytes), { name: 'MalformedError', message: 'the capabilities of p are malformed' })
  }
})
