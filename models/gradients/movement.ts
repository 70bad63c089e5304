import { type Rule, reshapeLike } from './rule.ts'

/* Operators that only move elements: the gradient moves back. */

const back: Rule = c => [reshapeLike(c.e, c.g, c.x())]

export const movement: Record<string, Rule> = {
  Reshape: back,
  Flatten: back,
  Squeeze: back,
  Unsqueeze: back
}
