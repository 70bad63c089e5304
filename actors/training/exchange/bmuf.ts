import { choiceOption, numberOption } from './options.ts'
import { rounds } from './rounds.ts'
import type { StrategyEffect } from './strategy.ts'

interface BmufOptions {
  /** η; 1 − 1/N where it is not given. */
  momentum: number | undefined
  /** ζ */
  rate: number
  nesterov: boolean
}

/**
 * Blockwise model-update filtering. With W̄ the mean after `h` local steps:
 *
 *     G = W̄ − W;  Δ ← ηΔ + ζG;  W ← W + Δ
 *
 * The classical form goes on from W, Nesterov's from W + ηΔ; G is then taken from where the round began, as in the paper: from W it
 * would count ηΔ twice. With η = 0, ζ = 1 it is local SGD. The last round ends at W itself and with Δ = 0.
 *
 * Options: `h`; `block-momentum` η, 1 − 1/N by default; `block-rate` ζ; `form`, classical or nesterov; `algorithm`.
 *
 * @see Chen & Huo 2016, Scalable training of deep learning machines by incremental block training
 */
export const bmuf = rounds<BmufOptions>({
  name: 'bmuf',
  h: 8,
  known: ['block-momentum', 'block-rate', 'form'],
  options: options => ({
    momentum:
      options['block-momentum'] === undefined ? undefined : numberOption('bmuf', options, 'block-momentum', 0, { from: 0, below: 1 }),
    rate: numberOption('bmuf', options, 'block-rate', 1, { above: 0, to: 10 }),
    nesterov: choiceOption('bmuf', options, 'form', ['classical', 'nesterov']) === 'nesterov'
  }),
  momentum: true,
  update({ momentum, rate, nesterov }, { anchor, mean, momentum: delta, parameters, ranks, last }) {
    const eta = momentum ?? 1 - 1 / ranks
    const add = (factor: number): StrategyEffect => ({ type: 'combine', into: parameters, from: delta, alpha: 1, beta: factor })
    const effects: StrategyEffect[] = [{ type: 'copy', into: parameters, from: anchor }]
    if (nesterov) effects.push(add(-eta))
    effects.push({ type: 'combine', into: delta, from: mean, alpha: eta, beta: rate }, add(1))
    if (nesterov && !last) effects.push(add(eta))
    if (last) effects.push({ type: 'fill', into: delta, value: 0 })
    return effects
  }
})
