import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { TestWorld } from './world.ts'

function world(t: Test): TestWorld {
  const world = new TestWorld()
  t.teardown(() => world.close())
  return world
}

t.test('mesh model list names the zoo', async t => {
  const w = world(t)
  t.equal(await w.mesh('model', 'list', '--json'), 0)
  t.match(w.stdout.records[0], { type: 'model', name: 'lenet', parameters: 431_080 })
})

t.test('mesh model show prints layers, shapes, parameters and multiply-adds', async t => {
  const w = world(t)
  t.equal(await w.mesh('model', 'show', 'lenet'), 0)
  t.match(w.stdout.text, /LAYER +OPERATOR +SHAPE +PARAMETERS +MULTIPLY-ADDS/)
  t.match(w.stdout.text, /conv2 +Conv +1×50×8×8 +25,050 +1,600,000/)
  t.match(w.stdout.lines.at(-1), '431,080 parameters, 2,293,000 multiply-adds a sample')
  const json = world(t)
  t.equal(await json.mesh('model', 'show', 'lenet', '--input', '3x32x32', '--classes', '7', '--json'), 0)
  t.match(json.stdout.records[0], { type: 'layer', name: 'conv1', op: 'Conv', shape: [1, 20, 28, 28] })
  t.match(json.stdout.records.at(-1), { type: 'model', outputs: ['logits'], parameters: 655_577, input: { shape: [3, 32, 32] } })
})

t.test('a model goes from the zoo to YAML, prototxt, JSON, ONNX and back', async t => {
  const w = world(t)
  const steps = [
    ['lenet', 'a.yaml'],
    ['a.yaml', 'b.prototxt'],
    ['b.prototxt', 'c.json'],
    ['c.json', 'd.onnx'],
    ['d.onnx', 'e.yml']
  ] as const
  for (const [from, to] of steps) t.equal(await w.mesh('model', 'convert', from, to), 0, `${from} to ${to}: ${w.stderr.text}`)
  t.equal(w.stderr.lines.length, 1, 'one warning')
  t.match(w.stderr.text, /e\.yml leaves out the values of its parameters/)
  for (const [, file] of steps) {
    const one = world(t)
    t.equal(await one.mesh('model', 'show', join(w.folder, file)), 0)
    t.match(one.stdout.lines.at(-1), '431,080 parameters, 2,293,000 multiply-adds a sample', file)
  }
})

t.test('what cannot be read, written or expressed is one line', async t => {
  const w = world(t)
  const refused = async (message: RegExp, ...args: string[]) => {
    w.stderr.text = ''
    t.equal(await w.mesh('model', ...args), 2, args.join(' '))
    t.match(w.stderr.text, message)
    t.equal(w.stderr.lines.length, 1)
  }
  writeFileSync(join(w.folder, 'bad.yaml'), 'layers:\n  - {type: relo}')
  writeFileSync(join(w.folder, 'open.yaml'), 'layers:\n  - {type: innerProduct, outputs: classes}')
  await refused(/there is no model 'foo'/, 'show', 'foo')
  await refused(/'net\.txt' is no model: .*\.prototxt/, 'show', 'net.txt')
  await refused(/nothing\.onnx cannot be read/, 'show', 'nothing.onnx')
  await refused(/bad\.yaml:2:12: .*'relo'.*did you mean 'relu'/, 'show', 'bad.yaml')
  await refused(/open\.yaml: .*what samples it takes/, 'show', 'open.yaml')
  await refused(/--input takes the shape/, 'show', 'lenet', '--input', 'big')
  await refused(/layer 'tokens' \(embedding\)/, 'convert', 'gpt-nano', 'a.prototxt')
  t.notOk(existsSync(join(w.folder, 'a.prototxt')))
  await refused(/lenet\.txt' ends in none of/, 'convert', 'lenet', 'lenet.txt')
  await refused(/bad\.yaml exists; --force/, 'convert', 'lenet', 'bad.yaml')
  t.equal(await w.mesh('model', 'convert', 'open.yaml', 'bad.yaml', '--force', '--input', '4', '--classes', '3'), 0)
  t.match(readFileSync(join(w.folder, 'bad.yaml'), 'utf8'), /input: \[4\][\s\S]*outputs: 3/)
})
