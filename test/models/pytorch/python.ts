import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A Python that can import PyTorch, or why there is none: `GRADMESH_PYTHON`, the path's python3, the system's. */
export async function pythonWithTorch(): Promise<{ python: string } | { reason: string }> {
  const candidates = [process.env['GRADMESH_PYTHON'], 'python3', '/usr/bin/python3'].filter(c => c !== undefined && c !== '') as string[]
  for (const python of candidates) {
    try {
      await run(python, ['-c', 'import torch.onnx'])
      return { python }
    } catch {}
  }
  return { reason: `PyTorch is not installed (tried ${candidates.join(', ')}; GRADMESH_PYTHON names another)` }
}

/** Runs a script of this project. @returns what it printed */
export async function runPython(python: string, script: URL, args: string[]): Promise<string> {
  const { stdout } = await run(python, ['-W', 'ignore', script.pathname, ...args], { maxBuffer: 2 ** 26 })
  return stdout
}
