import { openCifar } from './cifar.ts'
import { DIGITS_SHAPE, digitDrawer } from './digits.ts'
import { type DrawnKind, MAX_SEED, openDrawn } from './drawn.ts'
import { openFables } from './fables.ts'
import { openFashionMnist } from './fashion-mnist.ts'
import { findFolder } from './files.ts'
import { openIdxFolder } from './idx-folder.ts'
import { MAX_SAMPLES } from './order.ts'
import { throwIfAborted } from './pace.ts'
import { SHAPES32_SHAPE, shapeDrawer } from './shapes32.ts'
import { COLOUR_SCALE, GREY_SCALING } from './splits.ts'
import { LENGTHS, openText } from './text.ts'
import type { Dataset, OpenOptions } from './types.ts'
import { type DatasetUri, formatUri, parseUri, type UriForm } from './uri.ts'

interface Kind extends UriForm {
  open(uri: DatasetUri, options: OpenOptions): Promise<Dataset>
}

const digits: DrawnKind = {
  version: 1,
  shape: DIGITS_SHAPE,
  classes: 10,
  scaling: GREY_SCALING,
  train: 12_000,
  test: 2000,
  drawer: digitDrawer
}

const shapes32: DrawnKind = {
  version: 1,
  shape: SHAPES32_SHAPE,
  classes: 10,
  scaling: { mean: [96, 96, 96], scale: COLOUR_SCALE },
  train: 10_000,
  test: 2000,
  drawer: shapeDrawer
}

const drawnParameters = {
  train: { min: 1, max: MAX_SAMPLES },
  test: { min: 1, max: MAX_SAMPLES },
  seed: { min: 0, max: MAX_SEED - 1 }
}

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['digits', { parameters: drawnParameters, open: (uri, options) => openDrawn(uri, digits, options) }],
  ['shapes32', { parameters: drawnParameters, open: (uri, options) => openDrawn(uri, shapes32, options) }],
  ['fables', { parameters: { ...drawnParameters, length: LENGTHS }, open: openFables }],
  ['text', { path: 'FILE', parameters: { length: LENGTHS }, open: openText }],
  ['fashion-mnist', { parameters: {}, open: (uri, options) => openFashionMnist(formatUri(uri), options) }],
  [
    'idx',
    {
      path: 'DIR',
      parameters: { classes: { min: 1, max: 256 } },
      open: async (uri, options) =>
        openIdxFolder(formatUri(uri), await findFolder(uri.path!, options.dataRoots), uri.parameters.get('classes') ?? 10, options)
    }
  ],
  [
    'cifar',
    {
      path: 'DIR',
      parameters: {},
      open: async (uri, options) => openCifar(formatUri(uri), await findFolder(uri.path!, options.dataRoots), options)
    }
  ]
])

/** What `--data` takes, as help texts show it. */
export const datasetNames: string[] = Array.from(kinds, ([name, kind]) => (kind.path === undefined ? name : `${name}:${kind.path}`))

/**
 * Opens the data set that `uri` names:
 *
 * - `digits[?train=N&test=M&seed=S]`: handwritten-like digits drawn from strokes, 28×28 grey
 * - `shapes32[?train=N&test=M&seed=S]`: coloured shapes and textures, 32×32×3
 * - `fables[?train=N&test=M&seed=S&length=L]`: drawn sentences, L characters a sample
 * - `text:FILE[?length=L]`: a text in UTF-8, its last tenth for testing
 * - `fashion-mnist`: where this machine has it
 * - `idx:DIR[?classes=N]`: a folder with MNIST's file names, plain or gzip
 * - `cifar:DIR`: a folder of CIFAR-10's binary version
 *
 * It does not hold up the event loop for more than some 5 ms at a time.
 *
 * @throws InvalidParametersError for a URI or path that cannot be right, NotFoundError for absent folders and files, MalformedError and
 * TooLargeError for files that are not what they must be, AbortedError
 */
export async function openDataset(uri: string, options: OpenOptions = {}): Promise<Dataset> {
  const parsed = parseUri(uri, kinds)
  throwIfAborted(options.signal, `opening ${parsed.name}`)
  return kinds.get(parsed.name)!.open(parsed, options)
}
