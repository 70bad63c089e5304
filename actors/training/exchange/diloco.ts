import { numberOption } from './options.ts'
import { rounds } from './rounds.ts'

/**
 * DiLoCo: `h` inner steps with the job's own optimizer, whose moments are not shared; then one outer step of Nesterov SGD along the
 * outer gradient d = θ_old − mean θ_i:
 *
 *     m ← μm + d;  θ ← θ_old − lr·(d + μm)
 *
 * The paper's inner optimizer is AdamW; here it is whatever the job says.
 *
 * Options: `h`, 500 as in the paper; `outer-lr`; `outer-momentum` μ; `algorithm`.
 *
 * @see Douillard et al. 2023, arXiv 2311.08105
 */
export const diloco = rounds<{ lr: number; momentum: number }>({
  name: 'diloco',
  h: 500,
  known: ['outer-lr', 'outer-momentum'],
  options: options => ({
    lr: numberOption('diloco', options, 'outer-lr', 0.7, { above: 0, to: 10 }),
    momentum: numberOption('diloco', options, 'outer-momentum', 0.9, { from: 0, below: 1 })
  }),
  momentum: true,
  // `mean` is −d
  update: ({ lr, momentum }, { anchor, mean, momentum: m, parameters }) => [
    { type: 'combine', into: m, from: mean, alpha: momentum, beta: -1 },
    { type: 'copy', into: parameters, from: anchor },
    { type: 'combine', into: parameters, from: mean, alpha: 1, beta: lr },
    { type: 'combine', into: parameters, from: m, alpha: 1, beta: -lr * momentum }
  ]
})
