import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { initQueue } from '../../service/work-items/init.ts';
import { BUILT_IN_PACKS } from '../../service/work-items/packs.ts';
import { parsePolicy } from '../../service/work-items/policy.ts';
import { renderRecord } from '../../service/work-items/record-write.ts';
import { LANES } from '../../service/work-items/types.ts';
import { validateQueue } from '../../service/work-items/validate.ts';
import { fieldsOf, queueFolder } from './queue-folder.ts';

describe('init', () => {
  it('makes a queue without a problem, whose first item reads back', () => {
    const folder = queueFolder();
    const dir = join(folder.dir, 'new/work-items');
    const { created } = initQueue(dir);
    expect(created).toEqual(
      expect.arrayContaining([
        'policy.yaml',
        'backlog/wi-START-1.md',
        ...LANES.map((lane) => `${lane}/.gitkeep`),
      ]),
    );
    expect(folder.tree()).toEqual(created.map((path) => `new/work-items/${path}`).sort());
    expect(validateQueue(dir, BUILT_IN_PACKS)).toEqual([]);
  });

  it('writes a policy whose shown defaults are the defaults', () => {
    const folder = queueFolder();
    initQueue(folder.dir);
    const text = folder.text('policy.yaml') ?? '';
    const { policy } = parsePolicy(null, BUILT_IN_PACKS);
    expect(parsePolicy(text, BUILT_IN_PACKS)).toEqual({ policy, problems: [] });
    const shown = text.replace(/^freshness: .*\n/m, '').replace(/^# (?=[a-z][A-Za-z]*:|  )/gm, '');
    const { policy: uncommented, problems } = parsePolicy(shown, BUILT_IN_PACKS);
    expect(problems).toEqual([]);
    const { freshness, limits, soloWaitSeconds } = uncommented;
    expect({ freshness, limits, soloWaitSeconds }).toEqual({
      freshness: policy.freshness,
      limits: policy.limits,
      soloWaitSeconds: policy.soloWaitSeconds,
    });
    expect(Object.keys(uncommented.packs)).toContain('careful');
  });

  it('touches nothing that exists, and makes nothing the second time', () => {
    const folder = queueFolder({ 'policy.yaml': 'preset: team\n', 'prompts/wi-A-1.prompt.md': 'mine' });
    folder.record('wi-A-1');
    const { created } = initQueue(folder.dir);
    expect(created.filter((path) => !path.endsWith('.gitkeep'))).toEqual([]);
    expect(folder.text('policy.yaml')).toBe('preset: team\n');
    expect(initQueue(folder.dir)).toEqual({ created: [] });
  });

  it('leaves a broken link alone', () => {
    const folder = queueFolder();
    symlinkSync('/nowhere', join(folder.dir, 'policy.yaml'));
    expect(initQueue(folder.dir).created).not.toContain('policy.yaml');
  });

  it('says what to do where a file stands in its way', () => {
    const folder = queueFolder({ done: 'a file' });
    expect(() => initQueue(folder.dir)).toThrow(expect.objectContaining({ code: 'queue-init-failed' }));
    expect(folder.text('done')).toBe('a file');
  });
});

describe('validate', () => {
  const validate = (dir: string): string[] =>
    validateQueue(dir, BUILT_IN_PACKS).map(
      ({ file, line, code, severity }) => `${file}:${line} ${code}${severity ? ' (warn)' : ''}`,
    );

  it('names every problem of every file at once', () => {
    const folder = queueFolder({
      'ready/wi-A-1.md': '---\ntitle: 5\n---\n',
      'ready/wi-A-2.md': renderRecord(fieldsOf('wi-A-3')),
      'done/wi-A-3.md': renderRecord(fieldsOf('wi-A-3', { status: 'done' })),
      'review/wi-A-3.md': renderRecord(fieldsOf('wi-A-3', { status: 'review' })),
      'ready/notes.md': '',
      'ready/wi-A-4.md': 'a\0b',
      'prompts/wi-A-1.prompt.md': 'x',
      'prompts/wi-A-2.prompt.md': ' \n',
      'prompts/wi-A-3.prompt.md': 'a\0',
      'prompts/wi-A-9.prompt.md': 'x',
      'policy.yaml': 'preset: both\nlimit: 3\n',
      'Done/wi-A-5.md': '',
    });
    expect(validate(folder.dir)).toEqual([
      'Done:1 collection-unknown (warn)',
      'done/wi-A-3.md:1 duplicate-id',
      'policy.yaml:1 policy-value',
      'policy.yaml:2 policy-key',
      'prompts/wi-A-2.prompt.md:1 prompt-empty (warn)',
      'prompts/wi-A-3.prompt.md:1 nul-byte',
      'prompts/wi-A-9.prompt.md:1 prompt-orphan (warn)',
      'ready/notes.md:1 name-invalid',
      'ready/wi-A-1.md:1 field-missing',
      'ready/wi-A-1.md:1 field-missing',
      'ready/wi-A-1.md:1 field-missing',
      'ready/wi-A-1.md:1 criteria-empty (warn)',
      'ready/wi-A-1.md:2 field-type',
      'ready/wi-A-1.md:4 summary-empty (warn)',
      'ready/wi-A-2.md:1 duplicate-id',
      'ready/wi-A-2.md:2 id-mismatch',
      'ready/wi-A-4.md:1 nul-byte',
      'ready/wi-A-4.md:1 front-matter-missing',
      'ready/wi-A-4.md:1 prompt-missing (warn)',
    ]);
  });

  it('follows references: unknown ones, rings, itself', () => {
    const folder = queueFolder();
    const blockedBy = (id: string, ...others: string[]): void => {
      folder.record(id, 'ready', { blockedBy: others });
      folder.put(`prompts/${id}.prompt.md`, 'x');
    };
    blockedBy('wi-A-1', 'wi-A-2');
    blockedBy('wi-A-2', 'wi-A-3', 'wi-A-4');
    blockedBy('wi-A-3', 'wi-A-1');
    blockedBy('wi-A-4', 'wi-A-5');
    blockedBy('wi-A-6', 'wi-A-6');
    blockedBy('wi-A-7', 'wi-A-6', 'wi-A-1');
    expect(validate(folder.dir)).toEqual([
      'ready/wi-A-1.md:1 blocked-by-cycle',
      'ready/wi-A-2.md:1 blocked-by-cycle',
      'ready/wi-A-3.md:1 blocked-by-cycle',
      'ready/wi-A-4.md:1 reference-unknown (warn)',
      'ready/wi-A-6.md:1 blocked-by-cycle',
    ]);
    const messages = validateQueue(folder.dir, BUILT_IN_PACKS).map(({ message }) => message);
    expect(messages).toContain('`wi-A-1` waits for itself through wi-A-2, wi-A-3.');
    expect(messages).toContain('`wi-A-6` waits for itself.');
  });

  it('reads through no link, and goes on past a folder that is none', () => {
    const folder = queueFolder({ review: 'a file' });
    symlinkSync('/etc', join(folder.dir, 'done'));
    mkdirSync(join(folder.dir, 'ready'));
    symlinkSync('/etc/hostname', join(folder.dir, 'ready/wi-A-1.md'));
    writeFileSync(join(folder.dir, 'policy.yaml'), Buffer.from([0xff]));
    expect(validate(folder.dir)).toEqual([
      'done:1 link-not-followed',
      'policy.yaml:1 not-utf8',
      'ready/wi-A-1.md:1 link-not-followed',
      'ready/wi-A-1.md:1 prompt-missing (warn)',
      'review:1 folder-unreadable',
    ]);
  });

  it('of no folder says how to make one', () => {
    const folder = queueFolder();
    rmSync(folder.dir, { recursive: true });
    expect(validateQueue(folder.dir, BUILT_IN_PACKS)).toMatchObject([
      { file: '.', code: 'queue-missing', hint: expect.stringContaining('factory init') },
    ]);
  });
});
