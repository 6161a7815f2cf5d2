import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runFactory } from '../../scripts/lib/program.ts';
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
  it('tells an auditor what is withheld, and refuses what is said', async () => {
    const id = await begin('Not for auditors');
    const token = await here.token({ role: 'auditor' });
    const as = (argv: string[]) =>
      factory(folder, ['sessions', ...argv], { FACTORY_URL: here.url, FACTORY_TOKEN: token });
    expect((await as(['list'])).stdout).toMatch(new RegExp(`${id} .*\\(withheld\\)`));
    expect((await as(['show', id])).stdout).toMatch(/^Title withheld[^]*Subject +withheld/);
    for (const verb of [
      ['messages', id],
      ['search', 'auditors'],
    ]) {
      const refused = await as(verb);
      expect([refused.exit === 0, refused.stderr]).toEqual([
        false,
        expect.stringContaining('not for your role'),
      ]);
    }
  });

  it('says that OR is no operator', async () => {
    expect((await run(['search', 'nobody OR nothing'])).stderr).toContain('OR is not an operator');
    expect((await run(['search', '"this OR that" or'])).stderr).not.toContain('operator');
  });

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
      const found = async (): Promise<string[]> =>
        (await run(['search', word, '--json']))
          .json<{ results: { messageId: string }[] }>()
          .results.map(({ messageId }) => messageId);
      await expect.poll(found, { timeout: 20_000 }).toEqual([`${id}.${seq}`]);
    }
    expect((await add('--attach', 'raw.bin', '--type', 'text')).exit).toBe(2);
    const since = async (...argv: string[]) =>
      (await run(['search', 'quillfeather', ...argv, '--json'])).json<{ results: [] }>().results.length;
    expect([await since('--from', '2h'), await since('--to', '2h')]).toEqual([1, 0]);
    expect((await run(['search', 'quillfeather', '--from', '2y'])).exit).toBe(2);
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

  it('begins a session with all that can be said of it, once for each key', async () => {
    const said = ['--title', 'Begun', '--class', 'support', '--subject', 'ada', '--idempotency-key', 'k'];
    const begun = await run(['begin', ...said]);
    expect([begun.exit, begun.stdout]).toEqual([0, expect.stringMatching(/^Began \S{36}\n$/)]);
    const again = (await run(['begin', ...said, '--json'])).json();
    expect(`Began ${String(again['id'])}\n`).toBe(begun.stdout);
    expect(again).toMatchObject({ title: 'Begun', class: 'support', subjectId: 'ada', itemId: null });
    expect((await run(['begin', '--json'])).json()).toMatchObject({ title: null, class: 'general' });
    expect((await run(['begin', '--class', 'no class'])).exit).toBe(2);
    // By its key as well; there is none.
    for (const item of ['wi-none', 'none']) expect((await run(['begin', '--item', item])).exit).toBe(1);
  });

  it('says what was found in what it appends, and where it waits', async () => {
    const call = async (method: string, body?: object) => {
      const headers = { Authorization: `Bearer ${here.owner}`, 'Content-Type': 'application/json' };
      const answer = await fetch(`${here.url}/api/governance/policies`, {
        ...{ method, headers, ...(body && { body: JSON.stringify(body) }) },
      });
      return (await answer.json()) as { classes: Record<string, object> };
    };
    const policies = await call('GET');
    const sensitive = { secrets: 'quarantine', personal: 'redact', nationalIds: 'allow', roles: {} };
    const held = { ...policies.classes['general'], sensitive };
    await call('PUT', { ...policies, classes: { ...policies.classes, held } });
    const id = (await run(['begin', '--class', 'held', '--json'])).json<{ id: string }>().id;
    const mail = await run(['append', id, '--text', 'Write to ada@analytical-engines.org']);
    expect(mail.stdout).toBe(
      `Appended ${id}.1\nFound email-address in part 0: redact, taken out before it was kept\n`,
    );
    const secret = 'password=S3cr3t!horse9';
    writeFileSync(join(folder, 'secret.txt'), secret);
    const both = await run(['append', id, '--text', secret, '--attach', 'secret.txt']);
    const waits = 'In quarantine as (\\S{36}): npx factory governance quarantine show \\S{36}\n';
    const why = 'quarantine, held back until people decide\n';
    expect(both.stdout).toMatch(
      new RegExp(
        `^Appended ${id}.2\nFound \\S+ in secret.txt: ${why}${waits}Found \\S+ in part 0: ${why}${waits}$`,
      ),
    );
    const json = await run(['append', id, '--attach', 'secret.txt', '--json']);
    expect([json.json(), json.stderr]).toMatchObject([{ seq: 3 }, expect.stringContaining('in secret.txt')]);
    expect((await run(['append', id, '--text', 'nothing'])).stdout).toBe(`Appended ${id}.4\n`);
  });

  it('exports all that the caller may read, one behind the other, which is imported elsewhere', async () => {
    const token = await here.token({ role: 'planner' });
    const elsewhere = await there.token({ role: 'planner' });
    const as = (argv: string[], on = here, by = token) =>
      factory(folder, ['sessions', ...argv], { FACTORY_URL: on.url, FACTORY_TOKEN: by });
    const ids: string[] = [];
    for (const text of ['one', 'two', 'three']) {
      const { id } = (await as(['begin', '--title', text, '--json'])).json<{ id: string }>();
      ids.unshift(id);
      await as(['append', id, '--text', text]);
    }
    const out = await as(['export', '--all', '--to', 'all.jsonl', '--json']);
    expect([out.exit, out.json()]).toMatchObject([0, { sessions: 3, hidden: 0, passedOver: [] }]);
    const text = readFileSync(join(folder, 'all.jsonl'), 'utf8');
    const one = await Promise.all(ids.map(async (id) => (await as(['export', id])).stdout));
    expect(text).toBe(one.join(''));
    const printed = await as(['export', '--all']);
    expect([printed.stdout, printed.stderr]).toEqual([
      ...[text, expect.stringMatching(/^Exported 3 sessions, [\d.]+ k?B\n$/)],
    ]);
    const openai = (await as(['export', '--all', '--format', 'openai'])).stdout.trimEnd().split('\n');
    expect(openai.map((line) => Object.keys(JSON.parse(line) as object))).toEqual(
      ids.map(() => ['messages']),
    );
    expect((await as(['import', 'all.jsonl'], there, elsewhere)).stdout).toBe(
      ids.map((id) => `Imported ${id}, 1 message\n`).join(''),
    );
    const auditor = await here.token({ role: 'auditor' });
    const none = await as(['export', '--all'], here, auditor);
    expect([none.exit, none.stdout, none.stderr]).toEqual([
      ...[0, '', expect.stringMatching(/^Not for you to read: \d+ sessions\nExported 0 sessions/)],
    ]);
    for (const wrong of [['export'], ['export', ids[0]!, '--all'], ['export', '--all', '--json']])
      expect((await as(wrong)).exit).toBe(2);
    expect((await as(['export', '--all', '--to', 'all.jsonl'])).exit).toBe(4);
    expect((await as(['export', '--all', '--to', 'no/folder/all.jsonl'])).exit).toBe(1);
  });

  it('ends quietly where nobody reads any more what it exports', async () => {
    const begun = await run(['begin', '--subject', 'long', '--json']);
    const { id } = begun.json<{ id: string }>();
    await run(['append', id, '--text', 'x'.repeat(1_000_000)]);
    for (const argv of [
      ['sessions', 'export', id],
      ['sessions', 'export', '--all'],
      ['governance', 'report', 'long'],
    ]) {
      const stderr: string[] = [];
      const closed = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
      const stdout = new Writable({ write: (_chunk, _encoding, done) => done(closed) }).on('error', () => {});
      const around = { cwd: folder, env: { FACTORY_URL: here.url, FACTORY_TOKEN: here.owner } };
      const exit = await runFactory(argv, {
        ...{ ...around, stdout },
        stderr: new Writable({
          write(chunk: Buffer, _encoding, done) {
            stderr.push(chunk.toString());
            done();
          },
        }),
      });
      expect([exit, stderr.join('')]).toEqual([0, '']);
    }
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
