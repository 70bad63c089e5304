/** Nets for tests, written layer by layer in Caffe's text format. */

/** A layer; its one bottom and top may be given as blob names, several as lists. */
export function layer(name: string, type: string, bottom: string | string[], top: string | string[], rest = ''): string {
  const lines = (field: string, names: string | string[]) =>
    [names]
      .flat()
      .map(n => `${field}: "${n}" `)
      .join('')
  return `layer { name: "${name}" type: "${type}" ${lines('bottom', bottom)}${lines('top', top)}${rest} }\n`
}

const twice = 'param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }'

export function data(transform = ''): string {
  return layer('data', 'Data', [], ['data', 'label'], `transform_param { ${transform} } data_param { source: "elsewhere" batch_size: 8 }`)
}

export function conv(name: string, bottom: string, outputs: number, kernel: number, more = ''): string {
  const fillers = 'weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.2 }'
  return layer(
    name,
    'Convolution',
    bottom,
    name,
    `${twice} convolution_param { num_output: ${outputs} kernel_size: ${kernel} ${more} ${fillers} }`
  )
}

export function ip(name: string, bottom: string, outputs: number): string {
  return layer(
    name,
    'InnerProduct',
    bottom,
    name,
    `${twice} inner_product_param { num_output: ${outputs} weight_filler { type: "xavier" } }`
  )
}

export function relu(blob: string): string {
  return layer(`relu/${blob}`, 'ReLU', blob, blob)
}

export function pool(name: string, bottom: string, kind: 'MAX' | 'AVE', kernel: number, stride: number, pad = 0): string {
  return layer(name, 'Pooling', bottom, name, `pooling_param { pool: ${kind} kernel_size: ${kernel} stride: ${stride} pad: ${pad} }`)
}

export function softmaxLoss(name: string, scores: string, weight?: number): string {
  return layer(name, 'SoftmaxWithLoss', [scores, 'label'], name, weight === undefined ? '' : `loss_weight: ${weight}`)
}

/** A net of LeNet's form for 1×28×28 and 10 classes. */
export function lenet(): string {
  return [
    data('scale: 0.00390625'),
    conv('c1', 'data', 20, 5),
    pool('p1', 'c1', 'MAX', 2, 2),
    conv('c2', 'p1', 50, 5),
    pool('p2', 'c2', 'MAX', 2, 2),
    ip('f1', 'p2', 500),
    relu('f1'),
    ip('f2', 'f1', 10),
    layer('accuracy', 'Accuracy', ['f2', 'label'], 'accuracy', 'include { phase: TEST }'),
    softmaxLoss('loss', 'f2')
  ].join('')
}

/** A net of the form of Caffe's quick model for CIFAR-10. */
export function quick(): string {
  return [
    data(),
    conv('c1', 'data', 32, 5, 'pad: 2'),
    pool('p1', 'c1', 'MAX', 3, 2),
    relu('p1'),
    conv('c2', 'p1', 32, 5, 'pad: 2'),
    relu('c2'),
    pool('p2', 'c2', 'AVE', 3, 2),
    conv('c3', 'p2', 64, 5, 'pad: 2'),
    relu('c3'),
    pool('p3', 'c3', 'AVE', 3, 2),
    ip('f1', 'p3', 64),
    ip('f2', 'f1', 10),
    softmaxLoss('loss', 'f2')
  ].join('')
}

const norm = (name: string, bottom: string) => layer(name, 'LRN', bottom, name, 'lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }')
const drop = (blob: string, ratio: number) => layer(`drop/${blob}`, 'Dropout', blob, blob, `dropout_param { dropout_ratio: ${ratio} }`)

/** A net of AlexNet's form, as Caffe has it: for 3×227×227 and 1,000 classes. */
export function alexnet(): string {
  return [
    data('crop_size: 227 mean_value: 118'),
    conv('c1', 'data', 96, 11, 'stride: 4'),
    relu('c1'),
    norm('n1', 'c1'),
    pool('p1', 'n1', 'MAX', 3, 2),
    conv('c2', 'p1', 256, 5, 'pad: 2 group: 2'),
    relu('c2'),
    norm('n2', 'c2'),
    pool('p2', 'n2', 'MAX', 3, 2),
    conv('c3', 'p2', 384, 3, 'pad: 1'),
    relu('c3'),
    conv('c4', 'c3', 384, 3, 'pad: 1 group: 2'),
    relu('c4'),
    conv('c5', 'c4', 256, 3, 'pad: 1 group: 2'),
    relu('c5'),
    pool('p5', 'c5', 'MAX', 3, 2),
    ip('f6', 'p5', 4096),
    relu('f6'),
    drop('f6', 0.5),
    ip('f7', 'f6', 4096),
    relu('f7'),
    drop('f7', 0.5),
    ip('f8', 'f7', 1000),
    softmaxLoss('loss', 'f8')
  ].join('')
}

/** Outputs of an inception's branches: 1×1, 3×3 and before it, 5×5 and before it, after the pooling. */
type Branches = [one: number, before3: number, three: number, before5: number, five: number, pooled: number]

function inception(name: string, bottom: string, [one, before3, three, before5, five, pooled]: Branches): string {
  const own = (part: string) => `${name}/${part}`
  const branch = (part: string, from: string, outputs: number, kernel: number, more = '') =>
    conv(own(part), from, outputs, kernel, more) + relu(own(part))
  return [
    branch('1', bottom, one, 1),
    branch('b3', bottom, before3, 1),
    branch('3', own('b3'), three, 3, 'pad: 1'),
    branch('b5', bottom, before5, 1),
    branch('5', own('b5'), five, 5, 'pad: 2'),
    pool(own('p'), bottom, 'MAX', 3, 1, 1),
    branch('pp', own('p'), pooled, 1),
    layer(name, 'Concat', ['1', '3', '5', 'pp'].map(own), name)
  ].join('')
}

function auxiliary(name: string, bottom: string): string {
  return [
    pool(`${name}/pool`, bottom, 'AVE', 5, 3),
    conv(`${name}/conv`, `${name}/pool`, 128, 1),
    relu(`${name}/conv`),
    ip(`${name}/fc`, `${name}/conv`, 1024),
    relu(`${name}/fc`),
    drop(`${name}/fc`, 0.7),
    ip(`${name}/scores`, `${name}/fc`, 1000),
    softmaxLoss(`${name}/loss`, `${name}/scores`, 0.3)
  ].join('')
}

/** A net of GoogLeNet's form with both auxiliary heads, for 3×224×224 and 1,000 classes. */
export function googlenet(): string {
  const stages: [string, Branches][] = [
    ['3a', [64, 96, 128, 16, 32, 32]],
    ['3b', [128, 128, 192, 32, 96, 64]],
    ['4a', [192, 96, 208, 16, 48, 64]],
    ['4b', [160, 112, 224, 24, 64, 64]],
    ['4c', [128, 128, 256, 24, 64, 64]],
    ['4d', [112, 144, 288, 32, 64, 64]],
    ['4e', [256, 160, 320, 32, 128, 128]],
    ['5a', [256, 160, 320, 32, 128, 128]],
    ['5b', [384, 192, 384, 48, 128, 128]]
  ]
  const parts = [
    data('crop_size: 224 mean_value: 104 mean_value: 117 mean_value: 123'),
    conv('c1', 'data', 64, 7, 'pad: 3 stride: 2'),
    relu('c1'),
    pool('p1', 'c1', 'MAX', 3, 2),
    norm('n1', 'p1'),
    conv('b2', 'n1', 64, 1),
    relu('b2'),
    conv('c2', 'b2', 192, 3, 'pad: 1'),
    relu('c2'),
    norm('n2', 'c2'),
    pool('p2', 'n2', 'MAX', 3, 2)
  ]
  let bottom = 'p2'
  for (const [name, branches] of stages) {
    parts.push(inception(name, bottom, branches))
    bottom = name
    if (name === '4a' || name === '4d') parts.push(auxiliary(`head/${name}`, name))
    if (name === '3b' || name === '4e') {
      parts.push(pool(`p/${name}`, name, 'MAX', 3, 2))
      bottom = `p/${name}`
    }
  }
  parts.push(pool('p5', bottom, 'AVE', 7, 1), drop('p5', 0.4), ip('scores', 'p5', 1000), softmaxLoss('loss', 'scores', 1))
  return parts.join('')
}
