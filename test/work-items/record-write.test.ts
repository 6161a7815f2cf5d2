import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRecord } from '../../service/work-items/record.ts';
import { renderPrompt, renderRecord, rewriteStatus } from '../../service/work-items/record-write.ts';
import type { RecordFields } from '../../service/work-items/types.ts';
import { FIELDS, HEAD, record, TAIL } from './record.fixture.ts';

describe('rewriteStatus', () => {
  it.each([
    ['plain', 'status: ready', 'status: done'],
    ['single quotes', "status: 'ready'", "status: 'done'"],
    ['double quotes', 'status: "ready"', 'status: "done"'],
    ['a comment', 'status:   ready   # was: status: backlog', 'status:   done   # was: status: backlog'],
    ['a block text', 'status: |-\n  ready', 'status: done'],
  ])('keeps every other byte (%s)', (_name, before, after) => {
    const text = record(
      HEAD.with(2, before),
      [...TAIL, '# status: x', 'mine: {status: y}'],
      'status: ready\n---\nstatus: ready',
    );
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
  const traps = fc.constantFrom(
    'null',
    '~',
    '1',
    'true',
    '- a',
    'a: b',
    'a #b',
    '---',
    '"',
    "'",
    '\\',
    '&a',
    '*a',
    '\u2028',
    '\u0085',
    '\r',
    'a\n---\nb',
    '%',
    '@',
    '`',
    '!',
    '{',
    '[',
    '| a',
    'é',
  );
  const text = fc
    .oneof(
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 20 }),
      traps,
    )
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
