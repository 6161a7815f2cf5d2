import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../helpers/service.ts';
import { emptyFolder, factory } from './cli.ts';

/** The verbs of sessions against two real services. */

let here: TestService;
let there: TestService;
beforeAll(async () => {
  [here, there] = await Promise.all([startService(), startService()]);
});
afterAll(() => Promise.all([here.close(), there.close()]));

const folder = emptyFolder();
const run = (argv: string[], on: TestService = here) =>
  factory(folder, ['sessions', ...argv], { FACTORY_URL: on.url, FACTORY_TOKEN: on.owner });

async function begin(title: string): Promise<string> {
  const answer = await fetch(`${here.url}/api/sessions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${here.owner}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ title, class: 'support' }),
  });
  return ((await answer.json()) as { id: string }).id;
}

describe('factory sessions', () => {
  it('appends, lists, shows and reads', async () => {
    const id = await begin('A title');
    const file = join(folder, 'report.bin');
    writeFileSync(file, randomBytes(300_000));
    const made = await run(['append', id, '--text', 'Look at this', '--attach', 'report.bin', '--json']);
    expect([made.exit, made.json<{ seq: number }>().seq]).toEqual([0, 1]);
    const again = ['append', id, '--text', 'once', '--role', 'assistant', '--idempotency-key', 'k'];
    for (let n = 0; n < 2; n += 1)
      expect(await run(again)).toMatchObject({ exit: 0, stdout: `Appended ${id}.2\n` });
    expect((await run(['list', '--class', 'support'])).stdout).toMatch(
      new RegExp(`${id} +support +2 +.*A title`),
    );
    expect((await run(['show', id])).stdout).toContain('A title');
    const read = await run(['messages', id]);
    expect(read.stdout).toMatch(
      /1 {2}user[^]*Look at this\n\[attachment [0-9a-f-]{36} report.bin\]\n\n2 {2}assistant[^]*once/,
    );
    const page = await run(['messages', id, '--limit', '1']);
    expect(page.stderr).toContain('There are more: --cursor ');
    expect((await run(['append', id])).exit).toBe(2);
    expect((await run(['append', id, '--attach', 'missing'])).exit).toBe(2);
  });

  it('sends files with the media type of their name, or with the one that is given, so that text is found', async () => {
    const id = await begin('Files');
    writeFileSync(join(folder, 'notes.md'), 'the word quillfeather');
    writeFileSync(join(folder, 'data.json'), '{"bird":"plumeword"}');
    writeFileSync(join(folder, 'raw.bin'), 'inkwellword');
    const add = (...argv: string[]) => run(['append', id, ...argv, '--json']);
    expect((await add('--attach', 'notes.md', '--attach', 'data.json')).exit).toBe(0);
    expect((await add('--attach', 'raw.bin')).exit).toBe(0);
    expect((await add('--attach', 'raw.bin', '--type', 'text/plain; charset=utf-8')).exit).toBe(0);
    for (const [word, seq] of [
      ['quillfeather', 1],
      ['plumeword', 1],
      ['inkwellword', 3],
    ] as const) {
      const { results } = (await run(['search', word, '--json'])).json<{
        results: { messageId: string }[];
      }>();
      expect(results.map(({ messageId }) => messageId)).toEqual([`${id}.${seq}`]);
    }
    expect((await add('--attach', 'raw.bin', '--type', 'text')).exit).toBe(2);
  });

  it('exports to a new file, imports it elsewhere, and exports the same', async () => {
    const id = await begin('Going');
    const file = join(folder, 'big.bin');
    writeFileSync(file, randomBytes(1_000_000));
    await run(['append', id, '--attach', 'big.bin']);
    await run(['append', id, '--text', 'NUL and \ud800']);
    const path = join(folder, 'one.jsonl');
    const out = (await run(['export', id, '--to', 'one.jsonl', '--json'])).json<{ bytes: number }>();
    const text = readFileSync(path, 'utf8');
    expect(out).toEqual({ id, format: 'jsonl', path, bytes: Buffer.byteLength(text) });
    expect((await run(['export', id])).stdout).toBe(text);
    expect((await run(['export', id, '--to', 'one.jsonl'])).exit).toBe(4);
    expect((await run(['export', id, '--json'])).exit).toBe(2);
    const came = await run(['import', 'one.jsonl', '--json'], there);
    expect([came.exit, came.json()]).toMatchObject([0, { sessions: [{ id, created: true, messages: 2 }] }]);
    expect((await run(['import', 'one.jsonl'], there)).stdout).toBe(`${id} was there already\n`);
    expect((await run(['export', id], there)).stdout).toBe(text);
    writeFileSync(join(folder, 'cut.jsonl'), text.slice(0, -20));
    const cut = await run(['import', 'cut.jsonl', '--json'], there);
    expect([cut.exit, cut.json()]).toMatchObject([1, { error: { code: 'import-malformed', imported: [] } }]);
    writeFileSync(join(folder, 'other.jsonl'), text.replace('NUL and', 'nul and'));
    const conflict = await run(['import', 'other.jsonl'], there);
    expect([conflict.exit, conflict.stderr]).toEqual([
      ...[4, expect.stringMatching(/Delete neither:[^]*--format openai/)],
    ]);
    const openai = await run(['export', id, '--format', 'openai']);
    expect(JSON.parse(openai.stdout)).toMatchObject({ messages: [{ role: 'user' }, { role: 'user' }] });
  });

  it('imports what another tool wrote, and says what was kept, what was not, and how to go on', async () => {
    const line = (content: string, more: object = {}) =>
      JSON.stringify({ ...more, messages: [{ role: 'user', content }] });
    const file = (name: string, ...lines: string[]) => writeFileSync(join(folder, name), lines.join('\n'));
    const openai = (...argv: string[]) => run(['import', ...argv, '--format', 'openai'], there);
    const named = ['--class', 'old-tool', '--subject', 'ada', '--title', 'From there'];
    file('broken.jsonl', line('one', { title: 'First', model: 'm' }), line('two'), '{"messages":0}');
    const broken = await openai('broken.jsonl', ...named);
    expect(broken.exit).toBe(1);
    expect(broken.stderr).toMatch(
      /^Kept \S{36}\nKept \S{36}\nKept nothing from line 3 on\.\n[^]*`--from-line 3`/,
    );
    file('mended.jsonl', line('one', { title: 'First' }), line('two'), line('three', { model: 'm' }));
    const rest = await openai('mended.jsonl', ...named, '--from-line', '3');
    expect(rest.stdout).toMatch(/^Imported \S{36}, 1 message; without model, which has no place here\n$/);
    const listed = await run(['list', '--class', 'old-tool'], there);
    expect(listed.stdout.trimEnd().split('\n')).toHaveLength(4);
    expect(listed.stdout).toMatch(/From there\n[^]*From there\n[^]*First\n/);
    file('pretty.json', '{', '  "messages": []', '}');
    const pretty = await openai('pretty.json');
    expect([pretty.exit, pretty.stderr]).toEqual([1, expect.stringContaining('One JSON document a line')]);
    expect((await run(['import', 'mended.jsonl', '--title', 'x'], there)).exit).toBe(2);
  });

  it('deletes a message, then the session, and exports neither', async () => {
    const id = await begin('Gone');
    await run(['append', id, '--text', 'secret words']);
    expect((await run(['delete', id, '--message', `${id}.1`, '--json'])).json()).toEqual({
      deleted: `${id}.1`,
    });
    expect((await run(['export', id])).stdout).not.toContain('secret words');
    expect((await run(['delete', id])).stdout).toBe(`Deleted ${id}\n`);
    const gone = await run(['export', id, '--to', 'gone.jsonl', '--json']);
    expect([gone.exit, gone.json()]).toMatchObject([1, { error: { code: 'gone' } }]);
    expect(existsSync(join(folder, 'gone.jsonl'))).toBe(false);
    expect((await run(['show', 'nothing'])).exit).toBe(1);
  });
});
