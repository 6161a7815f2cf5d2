/** What detection finds and the rules that it goes by. Positions are UTF-16 units. */

export const CATEGORIES = ['secrets', 'personal', 'nationalIds'] as const;
export type Category = (typeof CATEGORIES)[number];

export interface Span {
  start: number;
  end: number;
}

export interface Hit extends Span {
  rule: string;
  category: Category;
}

export interface Rule {
  id: string;
  category: Category;
  /** Lower case; the rule is tried where one of them stands. */
  keywords: readonly string[];
  /**
   * Whether what is sought stands around the keyword that begins at `at` and ends before `after`; null: it does not. Reads a
   * bounded number of characters, or each only once for all calls, so that no text is slow.
   */
  match(text: string, at: number, after: number): Span | null;
}

export const secret = (id: string, keywords: string[], match: Rule['match']): Rule => ({
  ...{ id, category: 'secrets', keywords, match },
});
