import { NotFoundError } from '../common/index.ts'
import { type Folder, findFolder, openFirst } from './files.ts'
import { openIdxFolder } from './idx-folder.ts'
import type { Dataset, OpenOptions } from './types.ts'
import { printable } from './uri.ts'

/** Names the folder of Fashion-MNIST's four files. */
export const FASHION_MNIST_VARIABLE = 'GRADMESH_FASHION_MNIST'
/** Where Debian's package puts them. */
export const FASHION_MNIST_DEBIAN = '/usr/share/datasets/fashion-mnist'

/**
 * Fashion-MNIST (Xiao 2017, 1708.07747): 60,000 + 10,000 pictures of clothing, 28×28 grey, 10 classes. It is looked for in the folder that
 * GRADMESH_FASHION_MNIST names, in `fashion-mnist` under each data root, then where Debian's package puts it. The first and the last are
 * places of the machine's own, which no URI chooses, so they need not lie under a data root.
 *
 * @throws NotFoundError that names the package to install
 */
export async function openFashionMnist(uri: string, options: OpenOptions): Promise<Dataset> {
  return openIdxFolder(uri, await findFashionMnist(options.dataRoots), 10, options)
}

/** The folder of its files. @param packaged - where the system's package would put them */
export async function findFashionMnist(dataRoots: string[] | undefined, packaged = FASHION_MNIST_DEBIAN): Promise<Folder> {
  const named = process.env[FASHION_MNIST_VARIABLE]
  if (named) return findNamed(named)
  const places: [string, string[] | undefined][] = [[packaged, undefined]]
  if (dataRoots !== undefined && dataRoots.length > 0) places.unshift(['fashion-mnist', dataRoots])
  for (const [place, roots] of places) {
    const folder = await findFolder(place, roots).catch(ignoreMissing)
    if (folder !== undefined && (await holdsIt(folder))) return folder
  }
  throw new NotFoundError(
    `Fashion-MNIST is not on this machine: install it with 'apt-get install dataset-fashion-mnist', or set ${FASHION_MNIST_VARIABLE} to the folder of its IDX files`
  )
}

async function findNamed(named: string): Promise<Folder> {
  try {
    return await findFolder(named, undefined)
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
    throw new NotFoundError(`${FASHION_MNIST_VARIABLE} names '${printable(named)}', which does not exist; correct it or unset it`, {
      cause: error
    })
  }
}

async function holdsIt(folder: Folder): Promise<boolean> {
  const file = await openFirst(
    folder,
    ['-', '.'].flatMap(s => [`train-images${s}idx3-ubyte`, `train-images${s}idx3-ubyte.gz`])
  )
  await file?.handle.close()
  return file !== undefined
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof NotFoundError) return undefined
  throw error
}
