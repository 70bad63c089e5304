/**
 * Reverse-mode differentiation of graphs: the table of rules, one file a family of operators, and the walk that applies it.
 *
 * @see Griewank & Walther 2008, Evaluating Derivatives, chapter 3
 */
export { backward } from './backward.ts'
export type { Rule } from './rule.ts'
export { RuleContext } from './rule.ts'
export { differentiable, ruleOf } from './table.ts'
