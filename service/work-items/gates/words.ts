/** Small words that the texts of gates, guidance and effects are made of. */

export function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `a done`, `an executing`. */
export function withArticle(word: string): string {
  return `${/^[aeiou]/i.test(word) ? 'an' : 'a'} ${word}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function either(words: readonly string[]): string {
  return joined(words, 'or');
}

/** `a`, `a and b`, `a, b and c`. */
export function both(words: readonly string[]): string {
  return joined(words, 'and');
}

/** `a, then b, then c`. */
export function inTurn(words: readonly string[]): string {
  return words.join(', then ');
}

/** Git's usual short form; people compare the full one where it matters. */
export function shortSha(commit: string): string {
  return commit.slice(0, 12);
}

function joined(words: readonly string[], conjunction: string): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`;
}
