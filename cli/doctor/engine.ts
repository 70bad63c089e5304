import { bytes } from '../terminal/format.ts'
import type { Finding, Machine } from './finding.ts'

/** What makes each execution provider run where it does not. */
const mends: Record<string, string> = {
  cpu: 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node',
  cuda: 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node, with CUDA 12 and cuDNN 9 installed',
  webgpu: "install a Vulkan 1.3 driver of the GPU's maker and libvulkan1"
}

/** Devices, and the execution providers of ONNX Runtime on them: each is believed only when a session has run on it. */
export async function checkEngine(machine: Machine): Promise<Finding[]> {
  const { devices, problem } = await machine.gpus()
  const findings: Finding[] = devices.map(({ id, name, memory = 0 }) => ({
    check: `device ${id}`,
    standing: 'ok',
    message: `${name}, ${bytes(memory)}`
  }))
  if (devices.length === 0) {
    const message = `no NVIDIA GPU: ${problem ?? 'nvidia-smi is not installed'}; trainers run on CPUs`
    findings.push({
      check: 'device gpu',
      standing: 'lacks',
      message,
      mend: "where there is a GPU: install its maker's driver (Debian: apt-get install nvidia-driver)"
    })
  }
  findings.push(await provider(machine, 'cpu', 'broken'))
  if (devices.length > 0) findings.push(await provider(machine, 'cuda', 'lacks'), await provider(machine, 'webgpu', 'lacks'))
  return findings
}

async function provider(machine: Machine, name: string, otherwise: Finding['standing']): Promise<Finding> {
  const check = `provider ${name}`
  const why = await machine.tryProvider(name)
  if (why === undefined) return { check, standing: 'ok', message: 'a session ran on it' }
  return { check, standing: otherwise, message: `no session runs on it: ${why}`, mend: mends[name] }
}
