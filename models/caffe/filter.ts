import type { Message } from './message.ts'

export type Phase = 'TRAIN' | 'TEST'

/** What decides which layers of a net are in. */
export interface NetState {
  phase: Phase
  level: number
  stages: string[]
}

/** The state of a net in `phase`: the defaults, then the net's own `state`, then those of `over` (a solver's), the later ones counting. */
export function stateOf(phase: Phase, ...over: Message[]): NetState {
  const state: NetState = { phase, level: 0, stages: [] }
  for (const message of over) {
    if (message.has('phase')) state.phase = message.string('phase') as Phase
    if (message.has('level')) state.level = message.number('level')
    state.stages.push(...message.strings('stage'))
  }
  return state
}

/**
 * The layers of a net that are in under `state`: without rules a layer is in; with `include` rules when any of them matches, with `exclude`
 * rules when none does.
 *
 * @throws MalformedError when a layer has rules of both kinds
 */
export function filterLayers(net: Message, state: NetState): Message[] {
  return net.messages('layer').filter(layer => {
    const include = layer.messages('include')
    const exclude = layer.messages('exclude')
    if (include.length > 0 && exclude.length > 0) {
      layer.fail(`layer '${layer.string('name')}' has 'include' and 'exclude' rules; a layer may have one kind`)
    }
    return include.length > 0 ? include.some(rule => matches(rule, state)) : !exclude.some(rule => matches(rule, state))
  })
}

function matches(rule: Message, { phase, level, stages }: NetState): boolean {
  if (rule.has('phase') && rule.string('phase') !== phase) return false
  if (rule.has('min_level') && level < rule.number('min_level')) return false
  if (rule.has('max_level') && level > rule.number('max_level')) return false
  return rule.strings('stage').every(s => stages.includes(s)) && !rule.strings('not_stage').some(s => stages.includes(s))
}
