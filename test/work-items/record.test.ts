import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blobId, decodeText, isItemId, parseRecord, renderPrompt, renderRecord, rewriteStatus } from '../../service/work-items/record.ts';
import type { RecordFields } from '../../service/work-items/types.ts';

const AT = { path: 'ready/wi-BF-7.md', collection: 'ready' } as const;
const HEAD = ['id: wi-BF-7', 'title: Größe 測量 🚀', 'status: ready', 'workType: implementation'];
const TAIL = ['branch: bf/BF-7', 'validation: null', 'pr:', 'criteria:', '  - It holds.', "  - 'It: too'"];

function record(head: string[] = HEAD, tail: string[] = TAIL, body = 'The summary.\n\nMore.'): string {
  return ['---', ...head, ...tail, '---', '', body, ''].join('\n');
}

function errorsOf(text: string): [number, string][] {
  const { problems } = parseRecord(text, AT);
  return problems.filter((problem) => problem.severity !== 'warn').map(({ line, code }) => [line, code]);
}

function warningsOf(text: string): [number, string][] {
  const { problems } = parseRecord(text, AT);
  return problems.filter((problem) => problem.severity === 'warn').map(({ line, code }) => [line, code]);
}

const FIELDS: RecordFields = {
  id: 'wi-BF-7',
  title: 'Größe 測量 🚀',
  summary: 'The summary.\n\nMore.',
  status: 'ready',
  workType: 'implementation',
  branch: 'bf/BF-7',
  validation: null,
  pr: null,
  criteria: ['It holds.', 'It: too'],
  blockedBy: [],
  supersedes: null,
};

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
    const { fields } = parseRecord(record(HEAD, [...TAIL, 'blockedBy: [wi-BF-1, BF-2]', 'supersedes: BF-3']), AT);
    expect(fields).toMatchObject({ blockedBy: ['wi-BF-1', 'wi-BF-2'], supersedes: 'wi-BF-3' });
  });

  it.each([
    ['an unknown field', record(HEAD, [...TAIL, 'branhc: x']), [[12, 'unknown-key']]],
    ['an empty body', record(HEAD, TAIL, ''), [[13, 'summary-empty']]],
    ['another status than its collection', record().replace('status: ready', 'status: done'), [[4, 'status-vs-collection']]],
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
    ['a list instead of fields', '---\n- a\n---\nx', [[2, 'field-type'], ...[0, 1, 2, 3].map((): [number, string] => [1, 'field-missing'])]],
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
    const text = record(['id: wi-BF-8', 'title: 5', 'workType: x'], ['criteria: no', 'branch: []', 'pr: true']);
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

describe('decodeText', () => {
  it('keeps UTF-8 as it is', () => {
    expect(decodeText(Buffer.from('\uFEFFä🚀'), { path: 'a', itemId: null })).toEqual({ text: '\uFEFFä🚀', problems: [] });
  });

  it.each([
    [[0x61, 0x0a, 0xff, 0x0a, 0x62], 2],
    [[0xc3], 1],
    [[0x0a, 0x0a, 0xe2, 0x82], 3],
    [[0xc3, 0x0a, 0xa4], 1],
  ])('names the line that is not (%j)', (bytes, line) => {
    const { text, problems } = decodeText(Buffer.from(bytes), { path: 'a.md', itemId: null });
    expect(text).toBeNull();
    expect(problems).toMatchObject([{ file: 'a.md', line, code: 'not-utf8' }]);
  });
});

describe('rewriteStatus', () => {
  it.each([
    ['plain', 'status: ready', 'status: done'],
    ['single quotes', "status: 'ready'", "status: 'done'"],
    ['double quotes', 'status: "ready"', 'status: "done"'],
    ['a comment', 'status:   ready   # was: status: backlog', 'status:   done   # was: status: backlog'],
    ['a block text', 'status: |-\n  ready', 'status: done'],
  ])('keeps every other byte (%s)', (_name, before, after) => {
    const text = record(HEAD.with(2, before), [...TAIL, '# status: x', 'mine: {status: y}'], 'status: ready\n---\nstatus: ready');
    expect(rewriteStatus(text, 'done')).toBe(text.replace(before, after));
    const windows = `\uFEFF${text.replaceAll('\n', '\r\n')}`;
    expect(rewriteStatus(windows, 'done')).toBe(windows.replace(before.replaceAll('\n', '\r\n'), after));
  });

  it('changes nothing but the status, whatever the record says', () => {
    fc.assert(
      fc.property(fieldsArbitrary(), fc.constantFrom('done', 'review', 'true', 'é: x'), (fields, status) => {
        const text = renderRecord(fields);
        const changed = rewriteStatus(text, status);
        expect(parseRecord(changed, at(fields)).fields).toEqual({ ...normal(fields), status });
        expect(rewriteStatus(changed, status)).toBe(changed);
      }),
    );
  });

  it.each([
    ['no front matter', 'status: ready'],
    ['no status', record(HEAD.toSpliced(2, 1))],
    ['a status that is a list', record(HEAD.with(2, 'status: [ready]'))],
    ['broken YAML', record([...HEAD, "x: 'y"])],
  ])('refuses a record with %s', (_name, text) => {
    expect(() => rewriteStatus(text, 'done', 'ready/wi-BF-7.md')).toThrow(
      expect.objectContaining({ code: 'record-unreadable', target: 'ready/wi-BF-7.md' }),
    );
  });
});

describe('renderRecord', () => {
  it('comes back through parseRecord, in any script', () => {
    fc.assert(
      fc.property(fieldsArbitrary(), (fields) => {
        const parsed = parseRecord(renderRecord(fields), at(fields));
        expect(parsed.problems.filter((problem) => problem.severity !== 'warn')).toEqual([]);
        expect(parsed.fields).toEqual(normal(fields));
      }),
      { numRuns: 500 },
    );
  });

  it('reads like a file that a person wrote', () => {
    expect(renderRecord(FIELDS)).toBe(
      '---\nid: wi-BF-7\ntitle: Größe 測量 🚀\nstatus: ready\nworkType: implementation\nbranch: bf/BF-7\n' +
        'validation: null\npr: null\ncriteria:\n  - It holds.\n  - "It: too"\n---\n\nThe summary.\n\nMore.\n',
    );
    expect(renderPrompt('\n a\r\nb \n\n')).toBe('a\nb\n');
  });
});

it('gives the ids that git gives', () => {
  for (const text of ['', 'a\n', 'ä🚀']) {
    expect(blobId(text)).toBe(execFileSync('git', ['hash-object', '--stdin'], { input: text }).toString().trim());
  }
});

it.each<[string, boolean]>([
  ['wi-BF-106', true],
  ['wi-a', true],
  ['wi-a.b_c-1', true],
  ['wi-', false],
  ['BF-106', false],
  ['wi-BF-106\n', false],
  ['wi-../x', false],
  ['wi-a/b', false],
  ['wi-a.', false],
  [`wi-${'a'.repeat(101)}`, false],
])('%j as an id: %s', (id, valid) => {
  expect(isItemId(id)).toBe(valid);
});

function at(fields: RecordFields) {
  return { path: `ready/${fields.id}.md`, collection: 'ready' as const };
}

/** What a record keeps of a text. */
function normal(fields: RecordFields): RecordFields {
  const or = (text: string | null): string | null => text?.trim() || null;
  return {
    ...fields,
    title: fields.title.trim(),
    status: fields.status.trim(),
    workType: fields.workType.trim(),
    summary: fields.summary.replaceAll('\r\n', '\n').trim(),
    branch: or(fields.branch),
    validation: or(fields.validation),
    pr: or(fields.pr),
    criteria: fields.criteria.map((text) => text.trim()),
  };
}

function fieldsArbitrary(): fc.Arbitrary<RecordFields> {
  const traps = fc.constantFrom('null', '~', '1', 'true', '- a', 'a: b', 'a #b', '---', '"', "'", '\\', '&a', '*a', '\u2028', '\u0085', '\r', 'a\n---\nb', '%', '@', '`', '!', '{', '[', '| a', 'é');
  const text = fc
    .oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 20 }), traps)
    .map((value) => value.replaceAll('\0', '').toWellFormed());
  const filled = text.filter((value) => value.trim() !== '');
  const id = fc.stringMatching(/^wi-[A-Z]{1,4}-[0-9]{1,4}$/);
  return fc.record({
    id,
    title: filled,
    summary: text,
    status: filled,
    workType: filled,
    branch: fc.option(text),
    validation: fc.option(text),
    pr: fc.option(text),
    criteria: fc.array(filled, { maxLength: 5 }),
    blockedBy: fc.array(id, { maxLength: 3 }),
    supersedes: fc.option(id),
  });
}
