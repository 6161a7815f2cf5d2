import { describe, expect, it } from 'vitest';
import { matches, parseQuery } from '../../../service/chat/search/query.ts';
import { snippetOf, textsOf, tokensOfTexts } from '../../../service/chat/search/text.ts';
import { tokenTexts } from '../../../service/chat/search/tokens.ts';
import type { Part } from '../../../service/chat/types.ts';

const term = (text: string, prefix = false) => ({ tokens: text.split(' '), prefix });

describe('a query', () => {
  it.each<[text: string, wanted: ReturnType<typeof term>[], unwanted: ReturnType<typeof term>[]]>([
    ['one TWO', [term('one'), term('two')], []],
    ['"one two" three', [term('one two'), term('three')], []],
    ['one-two', [term('one two')], []],
    ['--force', [term('force')], []],
    ['one -two', [term('one')], [term('two')]],
    ['one NOT two three', [term('one'), term('three')], [term('two')]],
    ['one -"two three"', [term('one')], [term('two three')]],
    ['one NOT "two three"', [term('one')], [term('two three')]],
    ['one not two', [term('one'), term('not'), term('two')], []],
    ['migr*', [term('migr', true)], []],
    ['"data migr"*', [term('data migr', true)], []],
    ['one -migr*', [term('one')], [term('migr', true)]],
    ['東京*', [term('東 京')], []],
    ['"never closed', [term('never closed')], []],
    ['one " "', [term('one')], []],
    ['one - two', [term('one'), term('two')], []],
    ['👍', [term('👍')], []],
    ['a\0b', [term('a b')], []],
    ['foo"bar baz"', [term('foo'), term('bar baz')], []],
  ])('%s', (text, wanted, unwanted) => {
    expect(parseQuery(text)).toEqual({ wanted, unwanted });
  });

  it.each([
    ['', /no letter/],
    ['-- "…"', /no letter/],
    ['-one', /not wanted/],
    ['a*', /too many words/],
    ['x '.repeat(33), /32 words/],
    ['x'.repeat(1001), /1000 characters/],
  ])('is refused with what to do: %s', (text, message) => {
    expect(() => parseQuery(text)).toThrow(message);
  });

  it.each<[query: string, text: string, found: boolean]>([
    ['one two', 'two and one', true],
    ['"one two"', 'two and one', false],
    ['"one two"', 'One,\ntwo', true],
    ['migr*', 'the Migration', true],
    ['"the mig"*', 'the Migration', true],
    ['one -two', 'one two', false],
    ['one -two', 'one', true],
    ['京都', '東京都', true],
    ['strasse', 'Straße', true],
  ])('%s in %s: %s', (query, text, found) => {
    expect(matches(parseQuery(query), tokenTexts(text))).toBe(found);
  });
});

describe('what is searched of a message', () => {
  const parts: Part[] = [
    { type: 'text', text: 'first words' },
    { type: 'tool-call', toolCallId: 'c1', name: 'grep', arguments: { pattern: 'needle', flags: ['i', 7] } },
    { type: 'tool-result', toolCallId: 'c1', name: 'grep', output: { lines: ['a needle', null, true] } },
    { type: 'attachment', attachmentId: 'x', name: 'plan.pdf' },
  ];

  it('is what was written, called, answered and attached, in order', () => {
    expect(textsOf(parts)).toEqual([
      ...['first words', 'grep', 'pattern', 'needle', 'flags', 'i', '7'],
      ...['grep', 'lines', 'a needle', 'plan.pdf'],
    ]);
  });

  it('has no phrase across two texts', () => {
    const tokens = tokensOfTexts(textsOf(parts));
    expect(matches(parseQuery('words grep'), tokens)).toBe(true);
    expect(matches(parseQuery('"words grep"'), tokens)).toBe(false);
  });

  it('is taken apart however deep it is', () => {
    let deep: Part = { type: 'tool-result', toolCallId: 'c', name: 'n', output: 'bottom' };
    for (let n = 0; n < 50_000; n += 1) deep = { ...deep, output: [deep.output ?? null] };
    expect(textsOf([deep])).toEqual(['n', 'bottom']);
  });
});

describe('a snippet', () => {
  const marked = (text: string, query: string): string[] => {
    const { text: snippet, marks } = snippetOf([text], parseQuery(query));
    return marks.map(([start, end]) => snippet.slice(start, end));
  };

  it('marks every hit as it was written', () => {
    expect(marked('A Straße, another STRASSE and migrations', 'strasse migr*')).toEqual([
      ...['Straße', 'STRASSE', 'migrations'],
    ]);
    expect(marked('a one two b', '"one two" two')).toEqual(['one two']);
  });

  it('is cut out around the first hit', () => {
    const far = `${'word '.repeat(500)}needle ${'word '.repeat(500)}`;
    const { text, marks } = snippetOf([far], parseQuery('needle'));
    expect(text.length).toBeLessThan(250);
    expect(text).toMatch(/^…word .* needle word .*…$/);
    expect(marks).toHaveLength(1);
  });

  it('cuts no pair of surrogates', () => {
    const { text } = snippetOf([`${'👍'.repeat(300)} needle`], parseQuery('needle'));
    expect(text.isWellFormed()).toBe(true);
  });
});
