/**
 * Finds all of many words in one pass over a text (Aho and Corasick, 1975), whatever their case: the filter before the rules.
 * Words are ASCII; any other character ends what was begun.
 */

const SYMBOLS = 128;

export interface KeywordFinder {
  /** Calls with the number of each word that is found, and where it begins and ends. */
  each(text: string, found: (word: number, start: number, end: number) => void): void;
}

export function keywordFinder(words: readonly string[]): KeywordFinder {
  const { next: steps, outputs } = automaton(words);
  // By the beginning of a state's row, which spares a multiplication for each character.
  const next = steps.map((state) => state * SYMBOLS);
  const isEnd = new Uint8Array(next.length);
  outputs.forEach((ends, state) => (isEnd[state * SYMBOLS] = ends ? 1 : 0));
  return {
    each(text, found) {
      let state = 0;
      for (let at = 0; at < text.length; at += 1) {
        const code = text.charCodeAt(at);
        state = code < SYMBOLS ? next[state + FOLDED[code]!]! : 0;
        if (isEnd[state] === 0) continue;
        for (const word of outputs[state / SYMBOLS]!) found(word, at + 1 - words[word]!.length, at + 1);
      }
    },
  };
}

const FOLDED = Uint8Array.from({ length: SYMBOLS }, (_, code) =>
  String.fromCharCode(code).toLowerCase().charCodeAt(0),
);

interface Automaton {
  /** The state after a state and a symbol. */
  next: Int32Array;
  /** Words that end in a state. */
  outputs: (number[] | undefined)[];
}

function automaton(words: readonly string[]): Automaton {
  const most = words.reduce((sum, { length }) => sum + length, 1);
  const next = new Int32Array(most * SYMBOLS).fill(-1);
  const outputs: (number[] | undefined)[] = [];
  let states = 1;
  for (const [index, word] of words.entries()) {
    let state = 0;
    for (const symbol of word.toLowerCase()) {
      const place = state * SYMBOLS + symbol.charCodeAt(0);
      if (next[place] === -1) next[place] = states++;
      state = next[place]!;
    }
    (outputs[state] ??= []).push(index);
  }
  link(next, outputs);
  return { next: next.slice(0, states * SYMBOLS), outputs };
}

/** Breadth first: where a word breaks off, the longest end of it that begins another one goes on. */
function link(next: Int32Array, outputs: Automaton['outputs']): void {
  const failure: number[] = [0];
  const queue: number[] = [];
  for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
    if (next[symbol] === -1) next[symbol] = 0;
    else {
      failure[next[symbol]!] = 0;
      queue.push(next[symbol]!);
    }
  }
  for (let state = queue.shift(); state !== undefined; state = queue.shift()) {
    const back = failure[state]!;
    const ends = outputs[back];
    if (ends) outputs[state] = [...(outputs[state] ?? []), ...ends];
    for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
      const place = state * SYMBOLS + symbol;
      const onward = next[back * SYMBOLS + symbol]!;
      if (next[place] === -1) next[place] = onward;
      else {
        failure[next[place]!] = onward;
        queue.push(next[place]!);
      }
    }
  }
}
