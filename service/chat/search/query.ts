import { FactoryError } from '../../errors.ts';
import { isSpaceless, tokenTexts } from './tokens.ts';

/**
 * What people type. `word`, `"a phrase"`, `beginn*`, `-without` or `NOT without`; all that is wanted has to be in the same
 * message. Whatever is typed means something: there is no syntax to get wrong, only queries that ask for nothing.
 */

export interface Term {
  /** They follow each other. */
  tokens: string[];
  /** Whether the last one is the beginning of a word. */
  prefix: boolean;
}

export interface SearchQuery {
  wanted: Term[];
  unwanted: Term[];
}

/** UTF-16 units. */
export const LONGEST_QUERY = 1000;
const MOST_TERMS = 32;
/** Characters before a star: nearly every message has a word that begins with a given letter. */
const SHORTEST_PREFIX = 2;

/** A minus counts where a word can begin, and alone: `--force` is a word. */
const PIECE = /(?<not>-(?!-))?(?:"(?<phrase>[^"]*)(?:"|$)(?<star>\*)?|(?<word>[^\s"]+))/gu;

/** Whether `OR` stands among the words; it is none of the operators, and is looked for like any other word. */
export function namesOr(text: string): boolean {
  return [...text.matchAll(PIECE)].some(({ groups = {} }) => groups['word'] === 'OR');
}

/** Errors: `bad-input`. */
export function parseQuery(text: string): SearchQuery {
  if (text.length > LONGEST_QUERY) throw refused(`It has more than ${LONGEST_QUERY} characters.`);
  const query: SearchQuery = { wanted: [], unwanted: [] };
  let negated = false;
  for (const { groups = {} } of text.matchAll(PIECE)) {
    const { not, phrase, star, word = '' } = groups;
    if (phrase === undefined && not === undefined && word === 'NOT') {
      negated = true;
      continue;
    }
    const term = termOf(phrase ?? word, star !== undefined || (phrase === undefined && word.endsWith('*')));
    if (term) (negated || not !== undefined ? query.unwanted : query.wanted).push(term);
    negated = false;
  }
  if (query.wanted.length === 0) throw refused(nothingWanted(query));
  if (query.wanted.length + query.unwanted.length > MOST_TERMS)
    throw refused(`It has more than ${MOST_TERMS} words and phrases.`);
  return query;
}

/** Null: it has no letter, digit or picture. */
function termOf(text: string, starred: boolean): Term | null {
  const tokens = tokenTexts(text);
  const last = tokens.at(-1);
  if (last === undefined) return null;
  const prefix = starred && !isSpaceless(last);
  if (prefix && Array.from(last).length < SHORTEST_PREFIX)
    throw refused(`\`${last}*\` is the beginning of too many words.`);
  return { tokens, prefix };
}

const nothingWanted = ({ unwanted }: SearchQuery): string =>
  unwanted.length > 0
    ? 'It only says what is not wanted.'
    : 'It has no letter, no digit and no pictograph to look for.';

function refused(message: string): FactoryError {
  return new FactoryError({
    ...{ code: 'bad-input', op: 'search', target: 'q' },
    message: `This cannot be searched for. ${message}`,
    hint: 'Give a word, a "phrase in quotes", or the beginning of a word with at least two characters and a star, e.g. migr*.',
    details: { problems: [{ path: 'q', message }] },
  });
}

/** Whether a message has it; the index answers the same, faster. */
export function matches({ wanted, unwanted }: SearchQuery, tokens: readonly string[]): boolean {
  return (
    wanted.every((term) => placesOf(term, tokens).length > 0) &&
    !unwanted.some((term) => placesOf(term, tokens).length > 0)
  );
}

/** Index of the first token of each place where a term stands. */
export function placesOf({ tokens: sought, prefix }: Term, tokens: readonly string[]): number[] {
  const places: number[] = [];
  const last = sought.length - 1;
  for (let at = 0; at + last < tokens.length; at += 1) {
    const isThere = sought.every((token, index) => {
      const found = tokens[at + index]!;
      return prefix && index === last ? found.startsWith(token) : found === token;
    });
    if (isThere) places.push(at);
  }
  return places;
}
