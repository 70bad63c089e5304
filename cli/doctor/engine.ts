import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Finding, Machine } from './finding.ts'

/** What makes each execution provider run where it does not. */
const mends: Record<string, string> = {
  cpu: 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node',
  cuda: 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node, with CUDA 12 and cuDNN 9 installed',
  webgpu: 'install a Vulkan 1.3 driver of the GPU’s maker (Debian: apt-get install mesa-vulkan-drivers nvidia-driver)'
}

/** Longest that one provider may take to run a session, ms. */
const PATIENCE = 30_000

/** The execution providers of ONNX Runtime: each is believed only when a session has run on it. */
export async function checkEngine(machine: Machine): Promise<Finding[]> {
  const nvidia = (await machine.output('nvidia-smi', ['-L'])) !== undefined
  const graphics = existsSync('/dev/dri') || machine.platform === 'darwin'
  const findings = await Promise.all([
    provider('cpu', 'broken'),
    nvidia ? provider('cuda', 'lacks') : none('cuda', 'no NVIDIA GPU is visible (nvidia-smi finds none)'),
    graphics || nvidia ? provider('webgpu', 'lacks') : none('webgpu', 'no GPU is visible')
  ])
  return findings
}

/** Tries a provider in a process of its own: a driver that crashes takes that one down only. */
async function provider(name: string, otherwise: Finding['standing']): Promise<Finding> {
  const check = `provider ${name}`
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const probe = fileURLToPath(new URL(`./provider-probe.${ending}`, import.meta.url))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, probe, name], { timeout: PATIENCE })
    return { check, standing: 'ok', message: stdout.trim() }
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    const why = stderr.trim().split('\n').at(-1) || message.split('\n')[0]
    return { check, standing: otherwise, message: `no session runs on ${name}: ${why}`, mend: mends[name] }
  }
}

async function none(name: string, message: string): Promise<Finding> {
  return { check: `provider ${name}`, standing: 'lacks', message }
}
