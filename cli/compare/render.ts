import sharp from 'sharp'
import { type Loader, loader, parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

/** Pixels a point of a figure, in its PNG. */
const SCALE = 2

/** Draws a Vega-Lite specification, in this process and without fetching anything. @returns the SVG's text */
export async function renderSvg(spec: Record<string, unknown>): Promise<string> {
  const { spec: vega } = compile(spec as unknown as TopLevelSpec)
  const view = new View(parse(vega), { renderer: 'none', loader: closed() })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

/** An SVG as a PNG, with the fonts of this machine. */
export async function renderPng(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 72 * SCALE })
    .png({ compressionLevel: 9, palette: true })
    .toBuffer()
}

/** Specifications hold their data: nothing is loaded from anywhere. */
function closed(): Loader {
  const refuse = async (uri: string): Promise<never> => {
    throw new Error(`a figure asked for ${uri}`)
  }
  return { ...loader(), load: refuse, http: refuse, file: refuse }
}
