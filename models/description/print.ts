import { Document, isCollection, isMap, isScalar, visit } from 'yaml'
import type { Description } from './document.ts'

/** Widest line that is written. */
const WIDTH = 120

/** The description as YAML, which {@link parseDescription} reads back. */
export function printYaml(description: Description): string {
  const doc = new Document(plain(description), { aliasDuplicateObjects: false })
  visit(doc, {
    Collection(_, node, path) {
      // A layer a line; what lies within a layer, and lists of numbers, stay on it.
      const inLayers = path.filter(isCollection).length >= 2
      const numbers = !isMap(node) && node.items.every(item => isScalar(item))
      if (inLayers || numbers) node.flow = true
    }
  })
  return doc.toString({ lineWidth: WIDTH, flowCollectionPadding: false })
}

/** The description as JSON. */
export function printJson(description: Description): string {
  return `${JSON.stringify(plain(description), null, 2)}\n`
}

function plain({ model, seed, training }: Description): Record<string, unknown> {
  const { layers, outputs, ...head } = model
  return {
    ...head,
    ...(seed === undefined ? {} : { seed }),
    layers: layers.map(({ type, name, inputs, ...rest }) => ({
      type,
      ...(name === undefined ? {} : { name }),
      ...(inputs === undefined ? {} : { inputs }),
      ...rest
    })),
    ...(outputs === undefined ? {} : { outputs }),
    ...(training === undefined ? {} : { training })
  }
}
