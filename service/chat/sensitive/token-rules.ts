import { alnum, longRunEnd, runEnd, word } from './letters.ts';
import type { Rule, Span } from './hit.ts';
import { RARE_FORMS } from './rare-forms.ts';
import { FORMS } from './token-forms.ts';
import type { Piece } from './token-forms.ts';

/** Makes rules of the forms of tokens. */

/** Of words that tokens are known by although something stands before them: so many characters. */
const HEADS: Record<string, number> = { 'azure-client-secret': 3, 'terraform-token': 14 };

/** What stands before a beginning must be no letter, digit or underline: else it is a part of a word. */
function formMatcher(form: readonly Piece[], head: number): Rule['match'] {
  const [beginning, ...rest] = form as [string, ...Piece[]];
  return (text, at, after): Span | null => {
    const start = at - head;
    if (start < 0 || text.slice(at, after) !== beginning || runEnd(text, start, alnum, head) !== at)
      return null;
    if (start > 0 && word(text.charCodeAt(start)) && word(text.charCodeAt(start - 1))) return null;
    const end = endOf(text, after, rest);
    return end === null ? null : { start, end };
  };
}

function endOf(text: string, from: number, pieces: readonly Piece[]): number | null {
  let at = from;
  for (const [index, piece] of pieces.entries()) {
    if (typeof piece === 'string') {
      if (!text.startsWith(piece, at)) return null;
      at += piece.length;
      continue;
    }
    const [letters, least, most = least] = piece;
    const end = (most > 500 ? longRunEnd : runEnd)(text, at, letters, most);
    if (end - at < least) return null;
    at = end;
    // What is longer than the form is something else.
    const isLast = index === pieces.length - 1;
    if (isLast && at < text.length && letters(text.charCodeAt(at)) && alnum(text.charCodeAt(at))) return null;
  }
  return at;
}

/** Tokens that begin with letters that words begin with, too, have digits in them, and letters of both cases. */
const MIXED = new Set([
  'crates-token',
  'twilio-key',
  'openai-key',
  'huggingface-token',
  'artifactory-key',
  'square-token',
  'clickhouse-key',
  'octopus-key',
  'yandex-key',
  'tavily-key',
  'bitbucket-token',
  'facebook-token',
  'deepseek-key',
  'cerebras-key',
  'firecrawl-key',
]);
/** And of these, which are short, digits and letters of both cases. */
const STRICT = new Set([
  'fireworks-key',
  'resend-key',
  'voyage-key',
  'pinecone-key',
  'jina-key',
  'wandb-key',
]);
const isStrict = (text: string): boolean => /\d/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text);

function isMixed(text: string): boolean {
  return /\d/.test(text) || (/[a-z]/.test(text) && /[A-Z]/.test(text));
}

function ruleOf(id: string, form: Piece[]): Rule {
  const start = form[0] as string;
  const match = formMatcher(form, HEADS[id] ?? 0);
  return {
    ...{ id, category: 'secrets', keywords: [start.toLowerCase()] },
    match(text, at, after) {
      const found = match(text, at, after);
      const rest = found ? text.slice(after, found.end) : '';
      const isWord = (MIXED.has(id) && !isMixed(rest)) || (STRICT.has(id) && !isStrict(rest));
      return isWord ? null : found;
    },
  };
}

export const TOKEN_RULES: readonly Rule[] = [...FORMS, ...RARE_FORMS].flatMap(([id, ...forms]) =>
  forms.map((form) => ruleOf(id, form)),
);
