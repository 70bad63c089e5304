import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import t from 'tap'
import { InvalidParametersError, NotFoundError } from '../../common/index.ts'
import { FASHION_MNIST_DEBIAN, findFashionMnist } from '../../datasets/fashion-mnist.ts'
import { openDataset } from '../../datasets/index.ts'
import { writeIdxFolder } from './fixtures.ts'

const outside = /lies outside this node's data roots/

t.test('a folder under a data root opens, by absolute and by relative path', async t => {
  const root = t.testdir()
  await writeIdxFolder(path.join(root, 'sets/small'))
  for (const given of [path.join(root, 'sets/small'), 'sets/small', './sets/../sets/small/', 'small']) {
    const dataset = await openDataset(`idx:${given}`, { dataRoots: [root, path.join(root, 'sets')] })
    t.equal(dataset.uri, `idx:${given}`, 'the URI keeps the path as given, since other nodes have other roots')
    t.equal(dataset.train.count, 60)
  }
})

t.test('a path that leads out of the data roots is refused, however it does so', async t => {
  const base = t.testdir({ root: { inner: {} }, 'root-2': {} })
  const root = path.join(base, 'root')
  await writeIdxFolder(path.join(base, 'secret'))
  await writeIdxFolder(path.join(base, 'root-2/data'))
  await symlink('../secret', path.join(root, 'link'))
  await symlink(path.join(base, 'secret'), path.join(root, 'inner/absolute'))
  for (const given of [
    path.join(base, 'secret'),
    '../secret',
    'inner/../../secret',
    path.join(root, '../secret'),
    'link',
    'inner/absolute',
    path.join(base, 'root-2/data'),
    '../no-such-folder',
    '/no-such-folder'
  ]) {
    await t.rejects(openDataset(`idx:${given}`, { dataRoots: [root] }), InvalidParametersError, given)
    await t.rejects(openDataset(`idx:${given}`, { dataRoots: [root] }), { message: outside }, given)
  }
  await t.rejects(openDataset('idx:anything', { dataRoots: [] }), { message: outside }, 'no roots allow nothing')
  await t.resolves(openDataset(`idx:${path.join(root, 'link')}`), 'without roots any path is allowed')
})

t.test('a file in the folder that links out of the data roots is refused', async t => {
  const base = t.testdir({ root: {} })
  await writeIdxFolder(path.join(base, 'secret'))
  const folder = path.join(base, 'root/set')
  await mkdir(folder)
  for (const name of ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'])
    await symlink(path.join(base, 'secret', name), path.join(folder, name))
  await t.rejects(openDataset('idx:set', { dataRoots: [path.join(base, 'root')] }), { message: outside })
})

t.test('links that stay inside the data roots are followed, and a root may itself be a link', async t => {
  const base = t.testdir({ real: {} })
  await writeIdxFolder(path.join(base, 'real/set'))
  await symlink('set', path.join(base, 'real/alias'))
  await symlink('real', path.join(base, 'root'))
  for (const given of ['alias', path.join(base, 'root/alias'), path.join(base, 'real/set')]) {
    await t.resolves(openDataset(`idx:${given}`, { dataRoots: [path.join(base, 'root')] }), given)
  }
})

t.test('an absent folder, file or root says what was looked for and what to do', async t => {
  const base = t.testdir({ empty: {}, file: 'text' })
  await t.rejects(openDataset(`idx:${base}/none`), NotFoundError)
  await t.rejects(openDataset(`idx:${base}/none`), { message: /there is no folder '.*none': it would be .*; check the path/ })
  await t.rejects(openDataset('idx:none', { dataRoots: [base] }), { message: /looked for in the data roots/ })
  await t.rejects(openDataset(`idx:${base}/file/x`), NotFoundError)
  await t.rejects(openDataset(`idx:${base}/file`), { name: 'InvalidParametersError', message: /'.*file' is not a folder/ })
  await t.rejects(openDataset(`idx:${base}/empty`), {
    name: 'NotFoundError',
    message: /has no train-images-idx3-ubyte \(nor .*\.gz\); an IDX folder holds/
  })
  await t.rejects(openDataset(`cifar:${base}/empty`), { name: 'NotFoundError', message: /has no data_batch_1.bin; a folder of CIFAR-10/ })
  await t.rejects(openDataset('idx:none', { dataRoots: [path.join(base, 'absent-root')] }), NotFoundError)
})

t.test('what is no regular file is refused and never waited for', async t => {
  const base = t.testdir({ folder: { 'train-images-idx3-ubyte': {} }, pipe: {} })
  await t.rejects(openDataset(`idx:${base}/folder`), { name: 'InvalidParametersError', message: /is not a regular file/ })
  execFileSync('mkfifo', [path.join(base, 'pipe/train-images-idx3-ubyte')])
  await t.rejects(openDataset(`idx:${base}/pipe`), { name: 'InvalidParametersError', message: /is not a regular file/ })
})

t.test('a folder given with odd characters is shown on one line', async t => {
  await t.rejects(openDataset('idx:/no\nsuch\u001b[31m'), { message: /^there is no folder '\/no\ufffdsuch\ufffd\[31m'\P{C}*$/u })
})

t.test('fashion-mnist', async t => {
  const saved = process.env['GRADMESH_FASHION_MNIST']
  t.teardown(() => {
    if (saved === undefined) delete process.env['GRADMESH_FASHION_MNIST']
    else process.env['GRADMESH_FASHION_MNIST'] = saved
  })

  t.test('is found where the environment says', async t => {
    const folder = await writeIdxFolder(path.join(t.testdir(), 'fashion'), { gzip: true })
    process.env['GRADMESH_FASHION_MNIST'] = folder
    const dataset = await openDataset('fashion-mnist', { dataRoots: [] })
    t.equal(dataset.uri, 'fashion-mnist')
    t.strictSame(dataset.shape, [1, 28, 28])
  })

  t.test('is found under a data root', async t => {
    delete process.env['GRADMESH_FASHION_MNIST']
    const root = t.testdir()
    await writeIdxFolder(path.join(root, 'fashion-mnist'), { train: 30 })
    t.equal((await openDataset('fashion-mnist', { dataRoots: [root] })).train.count, 30)
  })

  const installed = existsSync(FASHION_MNIST_DEBIAN)
  t.test('is read where Debian’s package puts it', { skip: installed ? false : 'dataset-fashion-mnist is not installed' }, async t => {
    delete process.env['GRADMESH_FASHION_MNIST']
    const { train, test, fingerprint } = await openDataset('fashion-mnist', { dataRoots: [t.testdir()] })
    t.match(fingerprint, { count: 60_000, testCount: 10_000, shape: [1, 28, 28], classes: 10 })
    const labels = new Int32Array(5)
    train.read([0, 1, 2, 3, 4], new Float32Array(5 * 784), labels)
    t.strictSame([...labels], [9, 0, 0, 3, 0])
    test.read([0, 1, 2, 3, 4], new Float32Array(5 * 784), labels)
    t.strictSame([...labels], [9, 2, 1, 1, 6])
  })

  t.test('when absent, names the package to install', async t => {
    process.env['GRADMESH_FASHION_MNIST'] = path.join(t.testdir(), 'none')
    await t.rejects(openDataset('fashion-mnist'), NotFoundError)
    delete process.env['GRADMESH_FASHION_MNIST']
    await t.rejects(findFashionMnist([t.testdir()], path.join(t.testdir(), 'no-package')), {
      name: 'NotFoundError',
      message: /apt-get install dataset-fashion-mnist.*GRADMESH_FASHION_MNIST/
    })
  })
})
