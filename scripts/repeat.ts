// `npm run test:repeat`: runs test files over and over, to find those that fail sometimes. Files that start processes run 30 times,
// the others 100.
import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dieWithRelauncher } from '../cli/relaunch.mjs'
import { root } from './steps.ts'

const usage = `usage: npm run test:repeat -- [--times N] [--process-times N] [--jobs N] [--keep-going] [--list] [PATTERN …]
  PATTERN            only files whose path contains one of these
  --times N          runs of a file that starts no process (100)
  --process-times N  runs of a file that starts processes (30)
  --jobs N           files that run side by side (2)
  --keep-going       run a file to the end of its count although it failed
  --list             print the files and their counts, run nothing`

interface Failure {
  file: string
  run: number
  output: string
}

const { values, positionals } = parse()
const times = count('times', 100)
const processTimes = count('process-times', 30)
const jobs = count('jobs', 2)

const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter(file => positionals.length === 0 || positionals.some(pattern => file.includes(pattern)))
  .sort()
  .map(file => ({ file, times: startsProcesses(file) ? processTimes : times }))
if (files.length === 0) fail(`no test file's path contains ${positionals.join(' or ')}`)

if (values.list) {
  for (const { file, times } of files) console.log(`${String(times).padStart(4)}  ${file}`)
} else {
  dieWithRelauncher()
  await repeat()
}

async function repeat(): Promise<void> {
  const queue = [...files]
  const failures: Failure[] = []
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const started = performance.now()
      let failed = 0
      let runs = 0
      while (runs < next.times && (failed === 0 || values['keep-going'])) {
        runs++
        const output = await runOnce(next.file)
        if (output === undefined) continue
        failed++
        failures.push({ file: next.file, run: runs, output })
        console.log(`\nnot ok ${next.file}, run ${runs}\n${lastLines(output)}\n`)
      }
      const seconds = ((performance.now() - started) / 1000).toFixed(0)
      console.log(`${failed === 0 ? 'ok' : 'NOT OK'} ${next.file}: ${runs - failed} of ${runs} runs passed in ${seconds} s`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  for (const { file, run, output } of failures) console.log(`failed: ${file}, run ${run}${seeds(output)}`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

/** @returns what it printed when it failed, else undefined */
function runOnce(file: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    // Without tap around it a file has tap's default of 30 s, however busy the machine is; this is what .taprc says.
    const env = { ...process.env, TAP_TIMEOUT: '600' }
    const child = spawn(process.execPath, [join(root, file)], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', chunk => chunks.push(chunk))
    child.stderr.on('data', chunk => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const output = Buffer.concat(chunks).toString()
      resolve(code === 0 ? undefined : `${output}\n(exit ${signal ?? code})`)
    })
  })
}

/** It lies among those that do, or says so itself: by what it uses, or by the words `starts processes` in a comment. */
function startsProcesses(file: string): boolean {
  if (file.startsWith('test/processes/')) return true
  const uses = /node:child_process|node:worker_threads|\bprocessActor\b|(?<!\.)\bstart(Embedded|Node)\(|\/\/ starts processes/
  return uses.test(readFileSync(join(root, file), 'utf8'))
}

function seeds(output: string): string {
  const found = new Set(output.match(/\bseed\b[ :=]*['"]?[\w.-]+/gi) ?? [])
  return found.size === 0 ? '' : ` (${[...found].slice(0, 5).join(', ')})`
}

function lastLines(output: string): string {
  // The failed assertions come with their diagnostics; a file's end is its summary.
  const lines = output.split('\n')
  return lines.slice(-120).join('\n')
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        times: { type: 'string' },
        'process-times': { type: 'string' },
        jobs: { type: 'string' },
        'keep-going': { type: 'boolean', default: false },
        list: { type: 'boolean', default: false }
      }
    })
  } catch (error) {
    return fail(`${(error as Error).message}\n${usage}`)
  }
}

function count(name: 'times' | 'process-times' | 'jobs', otherwise: number): number {
  const text = values[name]
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,5}$/.test(text)) fail(`--${name} takes a whole number from 1, not ${text}`)
  return Number(text)
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
