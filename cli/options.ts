import { Command, Option } from 'commander'
import type { Parser } from './parse.ts'

/** A flag with a parser that knows the flag's name. */
export function flag<T>(flags: string, description: string, parser: Parser<T>, fallback?: T): Option {
  const option = new Option(flags, description)
  option.argParser(text => parser(option.long as string, text))
  if (fallback !== undefined) option.default(fallback)
  return option
}

/** A flag that may be given several times; each value is checked by itself. */
export function list(flags: string, description: string, parser: Parser<string>): Option {
  const option = new Option(flags, description)
  option.argParser((text, before: string[] | undefined) => [...(before ?? []), parser(option.long as string, text)])
  return option
}

/** Any text. */
export const text: Parser<string> = (_, value) => value

/** A subcommand with what all of them have. */
export function subcommand(name: string, description: string): Command {
  return new Command(name).description(description).option('--json', 'print JSON lines')
}

/** A subcommand that talks to a running node. */
export function nodeCommand(name: string, description: string): Command {
  return subcommand(name, description).option(
    '--node <name|folder>',
    'node to talk to, by name or state folder (default: the first that runs)'
  )
}
