import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { InvalidParametersError } from '../common/index.ts'
import {
  buildModel,
  caffeModel,
  type Description,
  declaredShape,
  describeGraph,
  describeModel,
  exportModel,
  type Graph,
  initialise,
  modelInput,
  modelNames,
  netOf,
  openDescription,
  openOnnx,
  parameterLayout,
  parseModelName,
  parseNet,
  printJson,
  printText,
  printYaml,
  settled
} from '../models/index.ts'

/** A model as a file or the zoo has it. */
export interface SourceModel {
  graph: Graph
  /** What described it; undefined where it came as a graph. */
  description?: Description
  /** Of what is random in its first values. */
  seed: number
}

/** What the user says of a model where it leaves that open. */
export interface ModelQuestion {
  /** Of one sample. */
  input?: number[]
  classes?: number
  seed?: number
}

const MAX_NET = 16 * 1024 * 1024

/** What {@link readModel} and {@link writeModel} know by their endings. */
export const modelEndings = ['.onnx', '.yaml', '.yml', '.json', '.prototxt'] as const

type Ending = (typeof modelEndings)[number]

function endingOf(path: string): Ending | undefined {
  const ending = extname(path).toLowerCase() as Ending
  return modelEndings.includes(ending) ? ending : undefined
}

/**
 * A model of the zoo by its name, or from a file.
 *
 * @throws InvalidParametersError, MalformedError naming the file and the place
 */
export async function readModel(from: string, path: string, question: ModelQuestion): Promise<SourceModel> {
  const { input, classes, seed } = question
  switch (endingOf(from)) {
    case '.onnx':
      return { graph: await openOnnx(path, input === undefined ? {} : { sample: input }), seed: seed ?? 1 }
    case '.yaml':
    case '.yml':
    case '.json': {
      const { build, model, ...rest } = await openDescription(path)
      const open = { ...(input === undefined ? {} : { shape: input }), ...(classes === undefined ? {} : { classes }) }
      return { graph: build(open), description: { ...rest, model: settled(model, open) }, seed: seed ?? rest.seed ?? 1 }
    }
    case '.prototxt':
      return { graph: await readNet(path, input), seed: seed ?? 1 }
    default:
      return fromZoo(from, question)
  }
}

function fromZoo(from: string, { input, classes, seed }: ModelQuestion): SourceModel {
  if (/[\\/]|\.\w+$/.test(from) && !modelNames.includes(from)) {
    throw new InvalidParametersError(
      `'${from.slice(0, 200)}' is no model: give a name of the zoo, or a file that ends in ${modelEndings.join(', ')}`
    )
  }
  const { name, options } = parseModelName(from)
  const usual = modelInput(name)
  const made = { shape: input ?? usual.shape, classes: classes ?? usual.classes }
  const model = describeModel(name, made, options)
  return { graph: buildModel(name, made, options), description: { model }, seed: seed ?? 1 }
}

async function readNet(path: string, input: number[] | undefined): Promise<Graph> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new InvalidParametersError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
  if (text.length > MAX_NET) throw new InvalidParametersError(`${path} has ${text.length} characters; a net has at most ${MAX_NET}`)
  const net = parseNet(text, path)
  const shape = input ?? declaredShape(net)
  if (shape === undefined) {
    throw new InvalidParametersError(`${path} does not say what shape its samples have; give it, for example with --input 3,227,227`)
  }
  return caffeModel(net, { shape }).graph
}

/**
 * Writes a model in the form that the path's ending names.
 *
 * @returns what the form has no place for, in words
 * @throws InvalidParametersError naming the layer or node that it cannot express
 */
export async function writeModel(source: SourceModel, path: string, options: { force?: boolean }): Promise<string[]> {
  const ending = endingOf(path)
  if (ending === undefined)
    throw new InvalidParametersError(`'${path}' ends in none of ${modelEndings.join(', ')}, which say what is written`)
  if (existsSync(path) && options.force !== true) throw new InvalidParametersError(`${path} exists; --force overwrites it`)
  const { graph, description, seed } = source
  if (ending === '.onnx') {
    const layout = parameterLayout(graph)
    const arena = new Float32Array(layout.total)
    initialise(layout, seed, arena)
    await writeFile(path, exportModel(graph, layout, arena))
    return description?.training === undefined ? [] : ['how it is trained']
  }
  const described = description ?? { model: describeGraph(graph) }
  const lost = [...graph.parameters.values()].some(p => p.filler.type === 'given') ? ['the values of its parameters'] : []
  if (ending === '.prototxt') {
    await writeFile(path, printText(netOf(described.model)))
    return described.training === undefined ? lost : [...lost, "how it is trained, which a solver's file says"]
  }
  await writeFile(path, ending === '.json' ? printJson(described) : printYaml(described))
  return lost
}
