import { describe, expect, it } from 'vitest';
import { parseRecord } from '../../service/work-items/record.ts';
import { FIELDS, HEAD, record, TAIL } from './record.fixture.ts';

const AT = { path: 'ready/wi-BF-7.md', collection: 'ready' } as const;

function errorsOf(text: string): [number, string][] {
  const { problems } = parseRecord(text, AT);
  return problems.filter((problem) => problem.severity !== 'warn').map(({ line, code }) => [line, code]);
}

function warningsOf(text: string): [number, string][] {
  const { problems } = parseRecord(text, AT);
  return problems.filter((problem) => problem.severity === 'warn').map(({ line, code }) => [line, code]);
}

describe('a readable record', () => {
  it.each([
    ['line feeds', record()],
    ['CRLF', record().replaceAll('\n', '\r\n')],
    ['a BOM', `\uFEFF${record()}`],
    ['no line end after the body', record().trimEnd()],
    ['spaces after the fences', record().replaceAll('---\n', '---  \n')],
  ])('with %s gives its fields', (_name, text) => {
    expect(parseRecord(text, AT)).toEqual({ fields: FIELDS, problems: [], claimedId: 'wi-BF-7' });
  });

  it('may link other items, by id or by key', () => {
    const { fields } = parseRecord(
      record(HEAD, [...TAIL, 'blockedBy: [wi-BF-1, BF-2]', 'supersedes: BF-3']),
      AT,
    );
    expect(fields).toMatchObject({ blockedBy: ['wi-BF-1', 'wi-BF-2'], supersedes: 'wi-BF-3' });
  });

  it.each([
    ['an unknown field', record(HEAD, [...TAIL, 'branhc: x']), [[12, 'unknown-key']]],
    ['an empty body', record(HEAD, TAIL, ''), [[13, 'summary-empty']]],
    [
      'another status than its collection',
      record().replace('status: ready', 'status: done'),
      [[4, 'status-vs-collection']],
    ],
    ['no criteria', record(HEAD, ['branch: x']), [[1, 'criteria-empty']]],
  ])('with %s is usable and warns', (_name, text, warnings) => {
    expect(warningsOf(text)).toEqual(warnings);
    expect(parseRecord(text, AT).fields).not.toBeNull();
  });

  it('names the field that a misspelt one probably means', () => {
    const { problems } = parseRecord(record(HEAD, [...TAIL, 'blokedBy: []']), AT);
    expect(problems[0]?.hint).toContain('`blockedBy`');
  });
});

describe('an unreadable record', () => {
  it.each<[string, string, [number, string][]]>([
    ['no front matter', 'Just text.\n', [[1, 'front-matter-missing']]],
    ['an empty file', '', [[1, 'front-matter-missing']]],
    ['no closing line', '---\nid: wi-BF-7\n', [[1, 'front-matter-unclosed']]],
    ['a closing line that is none', '---\nid: wi-BF-7\n----\n', [[1, 'front-matter-unclosed']]],
    ['broken YAML', record(["title: 'open", ...HEAD.slice(2)]), [[2, 'yaml-malformed']]],
    ['a colon in a plain text', record(HEAD.with(1, 'title: one: two')), [[3, 'yaml-malformed']]],
    [
      'a list instead of fields',
      '---\n- a\n---\nx',
      [[2, 'field-type'], ...[0, 1, 2, 3].map((): [number, string] => [1, 'field-missing'])],
    ],
    ['nothing', '---\n---\n', [0, 1, 2, 3].map(() => [1, 'field-missing'])],
    ['a missing title', record(HEAD.toSpliced(1, 1)), [[1, 'field-missing']]],
    ['an empty title', record(HEAD.with(1, 'title: "  "')), [[3, 'field-missing']]],
    ['a number as title', record(HEAD.with(1, 'title: 2026')), [[3, 'field-type']]],
    ['a list as title', record(HEAD.with(1, 'title: [a]')), [[3, 'field-type']]],
    ['an alias as title', record(['id: &a wi-BF-7', 'title: *a', ...HEAD.slice(2)]), [[3, 'field-type']]],
    ['criteria that are a text', record(HEAD, ['criteria: all']), [[6, 'field-type']]],
    ['a criterion that is a mapping', record(HEAD, ['criteria:', '  - ok', '  - a: b']), [[8, 'field-type']]],
    ['an empty criterion', record(HEAD, ['criteria:', '  - ok', '  -']), [[8, 'field-type']]],
    ['a field twice', record([...HEAD, 'title: again']), [[6, 'duplicate-key']]],
    ['another id than its file', record(HEAD.with(0, 'id: wi-BF-8')), [[2, 'id-mismatch']]],
    ['an id of another form', record(HEAD.with(0, 'id: BF 7')), [[2, 'id-invalid']]],
    ['a link to no id', record(HEAD, ['blockedBy: ["../x"]']), [[6, 'id-invalid']]],
    ['a NUL byte in the body', record(HEAD, TAIL, 'a\0b'), [[14, 'nul-byte']]],
    ['a NUL by an escape', record(HEAD.with(1, 'title: "a\\0b"')), [[3, 'not-unicode']]],
    ['half a character by an escape', record(HEAD.with(1, 'title: "\\ud800"')), [[3, 'not-unicode']]],
    ['too much front matter', record(HEAD, [`pr: ${'x'.repeat(300_000)}`]), [[1, 'front-matter-too-big']]],
    ['nesting without end', record(HEAD, [`pr: ${'['.repeat(100_000)}`]), [[6, 'yaml-malformed']]],
  ])('with %s names line and code', (_name, text, problems) => {
    const found = errorsOf(text);
    expect(found).toEqual(expect.arrayContaining(problems));
    expect(new Set(found.map(([, code]) => code))).toEqual(new Set(problems.map(([, code]) => code)));
    expect(parseRecord(text, AT).fields).toBeNull();
  });

  it('names every problem at once, each with file, item, message and next step', () => {
    const text = record(
      ['id: wi-BF-8', 'title: 5', 'workType: x'],
      ['criteria: no', 'branch: []', 'pr: true'],
    );
    const { problems } = parseRecord(text, AT);
    const byLine = errorsOf(text).sort(([a], [b]) => a - b);
    expect(byLine).toEqual([
      [1, 'field-missing'],
      [2, 'id-mismatch'],
      [3, 'field-type'],
      [5, 'field-type'],
      [6, 'field-type'],
      [7, 'field-type'],
    ]);
    for (const problem of problems) {
      expect(problem).toMatchObject({ file: AT.path, itemId: 'wi-BF-7' });
      expect(problem.message.length * problem.hint.length).toBeGreaterThan(0);
    }
  });

  it('is judged in linear time where it has very many fields', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `f${i}: 1`);
    const started = performance.now();
    parseRecord(record(HEAD, many), AT);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});
