import { resolve } from 'node:path'
import { Command } from 'commander'
import { InvalidParametersError } from '../../common/index.ts'
import type { SummaryRow } from '../../models/index.ts'
import type { Context } from '../context.ts'
import { flag, subcommand } from '../options.ts'
import { integer, type Parser } from '../parse.ts'
import { count, plain, table } from '../terminal/format.ts'

interface Flags {
  input?: number[]
  classes?: number
  seed?: number
  force?: boolean
}

/** `3,32,32` or `3x32x32`. */
const shape: Parser<number[]> = (name, text) => {
  const parts = text.split(/[,x×]/).map(part => (/^\d{1,8}$/.test(part) ? Number(part) : 0))
  if (parts.length > 8 || parts.some(d => d < 1))
    throw new InvalidParametersError(`${name} takes the shape of a sample, such as 3,32,32, not '${text.slice(0, 100)}'`)
  return parts
}

function asking(command: Command): Command {
  return command
    .addOption(flag('--input <shape>', "of one sample, such as 3,32,32 (default: what the model says, or the zoo's own)", shape))
    .addOption(
      flag('--classes <n>', "how many there are to tell apart (default: what the model says, or the zoo's own)", integer(2, 1 << 24))
    )
}

export function modelCommand(context: Context): Command {
  const names = subcommand('list', 'the models of the zoo').action(async () => {
    const { describeModel, modelInput, modelNames, parameterLayout, buildModel } = await import('../../models/index.ts')
    const rows = modelNames.map(name => {
      const input = modelInput(name)
      const { total } = parameterLayout(buildModel(name, input))
      const layers = describeModel(name, input).layers.length
      context.output.record({ type: 'model', name, input: input.shape, classes: input.classes, layers, parameters: total })
      return [name, input.shape.join('×'), count(input.classes), count(layers), count(total)]
    })
    for (const line of table(['NAME', 'INPUT', 'CLASSES', 'LAYERS', 'PARAMETERS'], rows)) context.output.line(line)
  })
  const show = asking(subcommand('show', 'layers, shapes, parameters and multiply-adds of a model'))
    .argument('<model>', 'a name of the zoo, or an ONNX, YAML, JSON or prototxt file')
    .action(async (model: string, flags: Flags) => {
      await showModel(context, model, flags)
    })
  const convert = asking(subcommand('convert', 'write a model in another form; what that cannot express is refused by name'))
    .argument('<from>', 'a name of the zoo, or a file')
    .argument('<to>', 'a file that ends in .onnx, .yaml, .json or .prototxt')
    .addOption(flag('--seed <n>', 'of the first values that an ONNX file gets (default: what the model says, or 1)', integer(0)))
    .option('--force', 'overwrite the file')
    .action(async (from: string, to: string, flags: Flags) => {
      const { readModel, writeModel } = await import('../model-file.ts')
      const source = await readModel(from, resolve(context.cwd, from), flags)
      const path = resolve(context.cwd, to)
      const lost = await writeModel(source, path, flags)
      for (const what of lost) context.output.warn(`${to} leaves out ${what}`)
      context.output.record({ type: 'converted', from, to: path, leftOut: lost })
      context.output.line(`wrote ${path}`)
    })
  return new Command('model').description('look at models and convert them').addCommand(names).addCommand(show).addCommand(convert)
}

async function showModel({ cwd, output }: Context, model: string, flags: Flags): Promise<void> {
  const { readModel } = await import('../model-file.ts')
  const { summarise } = await import('../../models/index.ts')
  const { graph } = await readModel(model, resolve(cwd, model), flags)
  const { rows, ...summary } = summarise(graph)
  for (const row of rows) output.record({ type: 'layer', ...row })
  output.record({ type: 'model', outputs: graph.outputs, ...summary })
  const known = (n: number | undefined) => (n === undefined ? '?' : n === 0 ? '' : count(n))
  const line = (row: SummaryRow) => [plain(row.name), row.op, row.shape.join('×'), known(row.parameters), known(row.multiplyAdds)]
  output.line(`${plain(summary.name)}, samples ${summary.input.shape.join('×')}`)
  for (const text of table(['LAYER', 'OPERATOR', 'SHAPE', 'PARAMETERS', 'MULTIPLY-ADDS'], rows.map(line))) output.line(text)
  const products = summary.multiplyAdds === undefined ? 'an unknown number of' : count(summary.multiplyAdds)
  output.line(`${count(summary.parameters)} parameters, ${products} multiply-adds a sample`)
}
