import { createHash } from 'node:crypto'
import { createRng, type Rng } from '../common/index.ts'
import { createPace } from './pace.ts'
import { DEFAULT_LENGTH, tokenSplit } from './text.ts'
import type { Dataset, OpenOptions, Split } from './types.ts'
import { type DatasetUri, formatUri } from './uri.ts'

/** The characters of fables; a token is a place in this list. */
export const FABLES_ALPHABET = '\n !",-.?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Changes with every change of the text. */
const VERSION = 1
/** A sample begins so many characters into its fable, at most. */
const LEAD = 160
/** Samples of each split that enter the digest. */
const DIGESTED = 64
/** First id of the test split: the two share no fable. */
const TEST_IDS = 2 ** 32

const names = [
  ['Anna', 'she', 'her'],
  ['Bela', 'she', 'her'],
  ['Iris', 'she', 'her'],
  ['Wanda', 'she', 'her'],
  ['Oskar', 'he', 'his'],
  ['Jonas', 'he', 'his'],
  ['Felix', 'he', 'his'],
  ['Quentin', 'he', 'his']
] as const
const beasts = ['fox', 'heron', 'badger', 'old goat', 'miller', 'young bear', 'hedgehog', 'king of the crows']
const places = ['by the river', 'in the deep wood', 'on the hill', 'behind the mill', 'at the edge of the village', 'under the oak']
const things = ['a jar of honey', 'a silver key', 'a loaf of bread', 'a lantern', 'a bag of nuts', 'a broken clock', 'an empty boat']
const traits = ['clever', 'lazy', 'patient', 'hungry', 'proud', 'quick', 'vain', 'gentle']
const deeds = ['found', 'lost', 'hid', 'wanted', 'carried', 'sold', 'dreamt of', 'looked for']
const weather = ['It rained', 'Snow fell', 'The sun shone', 'A cold wind blew', 'The night was clear']
const lessons = [
  'who waits, wins',
  'a gift is never small',
  'haste makes twice the work',
  'two see more than one',
  'pride has a short way home'
]

function pick<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.int(list.length)]!
}

/**
 * A fable that depends on (seed, id) alone: short sentences whose words agree over some distance, so that a model of characters has spelling,
 * grammar, quotation marks and a hero's name and pronoun to learn, one after the other.
 */
export function fable(seed: number, id: number, characters: number): string {
  const rng = createRng(`fables/${seed}/${id}`)
  let text = ''
  while (text.length < characters) {
    const [name, she, her] = pick(rng, names)
    const trait = pick(rng, traits)
    const thing = pick(rng, things)
    const bare = thing.slice(thing.indexOf(' ') + 1)
    const beast = pick(rng, beasts)
    const place = pick(rng, places)
    const lines = [
      `${name} was ${trait}, and lived ${place}.`,
      `${pick(rng, weather)} when ${name} ${pick(rng, deeds)} ${thing}.`,
      `"Is this ${bare} yours?" asked the ${beast}.`,
      `"It is mine," said ${name}, for ${she} was ${trait}.`,
      `The ${beast} went home, and ${name} kept the ${bare}.`,
      `${rng.int(2) === 0 ? 'But' : 'So'} ${she} gave ${her} ${bare} to the ${pick(rng, beasts)}!`,
      `And the ${beast} said, "${pick(rng, lessons)}."`
    ]
    for (const [i, line] of lines.entries()) if (i === 0 || rng.int(4) > 0) text += `${line} `
    text = `${text.trimEnd()}\n\n`
  }
  return text
}

const codes = new Uint16Array(128)
for (const [i, character] of [...FABLES_ALPHABET].entries()) codes[character.charCodeAt(0)] = i

/** Opens drawn fables, samples of `length` characters each. */
export async function openFables(uri: DatasetUri, { seed: defaultSeed = 0, signal }: OpenOptions): Promise<Dataset> {
  const train = uri.parameters.get('train') ?? 8000
  const test = uri.parameters.get('test') ?? 500
  const seed = uri.parameters.get('seed') ?? defaultSeed
  const length = uri.parameters.get('length') ?? DEFAULT_LENGTH
  const parameters = new Map(Object.entries({ train, test, seed, length }))
  const canonical = formatUri({ name: uri.name, parameters })
  const hash = createHash('sha256').update(`${canonical} version ${VERSION};`)
  const pace = createPace('drawing fables', signal)
  const write = (id: number, into: Uint16Array) => {
    const start = createRng(`fables/${seed}/${id}/start`).int(LEAD)
    const text = fable(seed, id, start + length + 1)
    for (let i = 0; i <= length; i++) into[i] = codes[text.charCodeAt(start + i)]!
  }
  const open = async (count: number, first: number): Promise<Split> => {
    const sample = new Uint16Array(length + 1)
    for (let id = 0; id < Math.min(count, DIGESTED); id++) {
      write(first + id, sample)
      hash.update(sample)
      if (pace.due()) await pace.rest()
    }
    return tokenSplit(count, length, (id, into) => write(first + id, into))
  }
  const shape = [length]
  const classes = FABLES_ALPHABET.length
  return {
    uri: canonical,
    shape,
    classes,
    positions: length,
    train: await open(train, 0),
    test: await open(test, TEST_IDS),
    fingerprint: { count: train, testCount: test, shape, classes, positions: length, digest: hash.digest('hex') }
  }
}
