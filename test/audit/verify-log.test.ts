import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatVkey, parseCheckpoint, signCheckpoint } from '../../service/audit/checkpoint.ts';
import { encodeLeaf } from '../../service/audit/leaf.ts';
import { leafHash } from '../../service/audit/merkle.ts';
import { signRestored } from '../../service/audit/restored.ts';
import { TreeEdge } from '../../service/audit/tiles.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/verify-log.mjs');
const AT = '2026-03-01T10:00:00.000Z';
const ORIGIN = 'build-factory/test/audit/v1';
const { privateKey } = generateKeyPairSync('ed25519');
const VKEY = formatVkey(ORIGIN, privateKey);

/** U+2028 ends a line for some readers, and stands unescaped in canonical JSON. */
const LEAVES = Array.from({ length: 300 }, (_, i) =>
  encodeLeaf(
    {
      actor: { kind: 'person', id: `p\u2028-${i}` },
      action: 'test',
      object: null,
      outcome: 'applied',
      project: 'main',
    },
    AT,
  ),
);

function noteOf(leaves: string[], origin = ORIGIN, key = privateKey): string {
  const edge = new TreeEdge();
  for (const leaf of leaves) edge.append(leafHash(leaf));
  return signCheckpoint(origin, key, { size: edge.size, root: edge.root(), at: AT });
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'verify-log-'));
  writeFileSync(join(dir, 'audit-log.vkey'), `${VKEY}\n`);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(leaves: string[], note: string, ...options: string[]) {
  writeFileSync(join(dir, 'log.jsonl'), leaves.map((leaf) => `${leaf}\n`).join(''));
  writeFileSync(join(dir, 'note'), note);
  return command(join(dir, 'log.jsonl'), join(dir, 'note'), '--json', ...options);
}

function command(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });
  return { status, stderr, stdout, answer: stdout.startsWith('{') ? (JSON.parse(stdout) as Answer) : null };
}

interface Answer {
  ok: boolean;
  size: number;
  signedSize: number;
  root: string;
  problems: { code: string; message: string; seq?: number }[];
  notChecked: string[];
  error?: { code: string };
}

const GOOD = noteOf(LEAVES);

describe('verify-log', () => {
  it.each([
    ['the text of the key', () => VKEY],
    ['its file', () => join(dir, 'audit-log.vkey')],
  ])('accepts what was signed, with %s', (_, key) => {
    const { status, answer } = run(LEAVES, GOOD, '--key', key());
    expect(answer).toMatchObject({ ok: true, size: 300, signedSize: 300, problems: [], notChecked: [] });
    expect(status).toBe(0);
  });

  it('says what it did not check', () => {
    const { status, answer } = run(LEAVES, noteOf(LEAVES.slice(0, 200)));
    expect([status, answer?.ok, answer?.signedSize]).toEqual([0, true, 200]);
    expect(answer?.notChecked).toEqual([
      expect.stringContaining('--key'),
      expect.stringContaining('201 to 300'),
    ]);
  });

  const swapped = LEAVES.with(10, LEAVES[11]!).with(11, LEAVES[10]!);
  const other = generateKeyPairSync('ed25519').privateKey;
  it.each<[string, string[], string, string]>([
    ['an edit', LEAVES.with(5, LEAVES[5]!.replace('test', 'none')), GOOD, 'root-mismatch'],
    ['a deletion', LEAVES.toSpliced(5, 1), GOOD, 'log-shorter-than-checkpoint'],
    ['an insertion', LEAVES.toSpliced(5, 0, LEAVES[0]!), GOOD, 'root-mismatch'],
    ['a swap', swapped, GOOD, 'root-mismatch'],
    ['a cut', LEAVES.slice(0, 299), GOOD, 'log-shorter-than-checkpoint'],
    ['nothing', [], GOOD, 'log-shorter-than-checkpoint'],
    ['another size', LEAVES, GOOD.replace('\n300\n', '\n299\n'), 'checkpoint-forged'],
    ['another key', LEAVES, noteOf(LEAVES, ORIGIN, other), 'checkpoint-unsigned'],
    ['another log', LEAVES, noteOf(LEAVES, 'build-factory/other/audit/v1'), 'checkpoint-foreign'],
    ['half a checkpoint', LEAVES, GOOD.slice(0, 50), 'checkpoint-malformed'],
    ['a line that is no leaf', LEAVES.with(5, '{}'), noteOf(LEAVES.with(5, '{}')), 'leaf-malformed'],
    [
      'white space',
      LEAVES.with(5, `${LEAVES[5]} `),
      noteOf(LEAVES.with(5, `${LEAVES[5]} `)),
      'leaf-malformed',
    ],
    ['an empty line', LEAVES.toSpliced(5, 0, ''), GOOD, 'leaf-malformed'],
  ])('finds %s', (_, leaves, note, code) => {
    const { status, answer } = run(leaves, note, '--key', VKEY);
    expect(answer?.ok).toBe(false);
    expect(answer?.problems.map((problem) => problem.code)).toContain(code);
    expect(status).toBe(1);
  });

  /** The log of a database that was put back to 120 entries, with what the restore says of the state that is gone. */
  function putBack(key = privateKey, root = parseCheckpoint(GOOD).root.toString('base64')): string[] {
    const unsigned = {
      ...{
        entry: 121,
        backup: 'full/factory/20260301T000000Z-000001',
        sequence: 1,
        takenAt: AT,
        shared: null,
      },
      ...{
        givenUp: [{ size: 300, root }],
        epoch: 1,
        by: 'someone@host',
        why: 'restore' as const,
        newKey: false,
      },
    };
    const entry = { actor: { kind: 'system', id: 'system' }, action: 'database.restored', object: null };
    const restored = signRestored(ORIGIN, key, AT, unsigned);
    return [
      ...LEAVES.slice(0, 120),
      encodeLeaf({ ...entry, outcome: 'applied', project: 'main', restored }, AT),
      ...LEAVES.slice(0, 50),
    ];
  }

  it('knows a checkpoint that a signed restore gave up, and says that it covers nothing', () => {
    const { status, answer } = run(putBack(), GOOD, '--key', VKEY);
    expect(answer).toMatchObject({ ok: true, size: 171, signedSize: 0, problems: [] });
    expect(answer?.notChecked[0]).toContain('the restore of entry 121 gave it up');
    expect(status).toBe(0);
  });

  it.each<[string, string[], string[]]>([
    ['of another key', putBack(other), ['--key', VKEY]],
    ['of another root', putBack(privateKey, leafHash('x').toString('base64')), ['--key', VKEY]],
    ['that nobody can check', putBack(), []],
  ])('does not believe a restore %s', (_, leaves, options) => {
    const { answer } = run(leaves, GOOD, ...options);
    expect(answer?.problems.map(({ code }) => code)).toEqual(['log-shorter-than-checkpoint']);
  });

  it('says it in words, too', () => {
    run(LEAVES, GOOD);
    const { status, stdout } = command(join(dir, 'log.jsonl'), join(dir, 'note'), '--key', VKEY);
    expect(status).toBe(0);
    expect(stdout).toContain('The first 300 entries are the ones that the checkpoint covers.');
  });

  it.each<[string, () => string[]]>([
    ['no arguments', () => []],
    ['a log that is not there', () => [join(dir, 'absent'), join(dir, 'note')]],
    ['a checkpoint that is not there', () => [join(dir, 'log.jsonl'), join(dir, 'absent')]],
    ['a key that is none', () => [join(dir, 'log.jsonl'), join(dir, 'note'), '--key', 'rubbish']],
    ['an unknown option', () => [join(dir, 'log.jsonl'), join(dir, 'note'), '--nokey']],
  ])('exits 2 with %s', (_, args) => {
    run(LEAVES, GOOD);
    const { status, stderr, answer } = command(...args(), '--json');
    expect(status).toBe(2);
    expect(stderr).toContain('Try: ');
    expect(answer?.error?.code).toBe('usage');
  });

  it('helps', () => {
    const { status, stdout } = command('--help');
    expect([status, stdout.startsWith('Usage: ')]).toEqual([0, true]);
  });
});
