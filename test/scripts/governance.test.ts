import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { emptyFolder, factory } from './cli.ts';

/** The verbs of governance against a real service. */

const clock = manualClock('2026-05-01T08:00:00.000Z');
let service: TestService;
beforeAll(async () => {
  service = await startService({ clock });
});
afterAll(() => service.close());

const folder = emptyFolder();
const run = (argv: string[], token = service.owner) =>
  factory(folder, ['governance', ...argv], { FACTORY_URL: service.url, FACTORY_TOKEN: token });

async function begin(subjectId: string, kind = 'general', token = service.owner): Promise<string> {
  const post = async (path: string, body: object) => {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const answer = await fetch(`${service.url}/api/sessions${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return ((await answer.json()) as { id: string }).id;
  };
  const id = await post('', { subjectId, class: kind });
  await post(`/${id}/messages`, { role: 'user', parts: [{ type: 'text', text: 'hello' }] });
  return id;
}

describe('factory governance', () => {
  it('places, lists and releases holds', async () => {
    await begin('Adah');
    const typo = await run(['holds', '--reason', 'case 6', '--subject', 'Aadh', '--json']);
    expect(typo.stderr).toMatch(/Nothing that is here now is covered\. Is the name right\?[^]*--release/);
    const { id: wrong, covers } = typo.json<{ id: string; covers: object }>();
    expect(covers).toEqual({ sessions: 0, messages: 0, bytes: 0 });
    await run(['holds', '--release', wrong]);
    const right = await run(['holds', '--reason', 'case 6', '--subject', 'Adah', '--json']);
    expect(right.stderr).toBe('It covers 1 message of 1 session that are here now.\n');
    await run(['holds', '--release', right.json<{ id: string }>().id]);
    const placed = (await run(['holds', '--reason', 'case 7', '--subject', 'Ada', '--json'])).json<{
      id: string;
    }>();
    expect((await run(['holds'])).stdout).toMatch(new RegExp(`${placed.id} +in force +subject Ada +case 7`));
    expect(await run(['holds', '--subject', 'Ada'])).toMatchObject({ exit: 2 });
    expect(await run(['holds', '--release', placed.id])).toMatchObject({ exit: 0 });
    expect((await run(['holds'])).stdout).toBe('No holds.\n');
    expect((await run(['holds', '--released'])).stdout).toContain('released');
    const unknown = await run(['holds', '--release', '00000000-0000-7000-8000-000000000000']);
    expect(unknown).toMatchObject({ exit: 1 });
    expect(unknown.stderr).toMatch(/governance holds` lists them/);
  });

  it('lists who changed what of the policies', async () => {
    const history = (...more: string[]) => run(['policies', '--history', ...more]);
    expect((await history()).stdout).toContain('as installed');
    const read = (await run(['policies', '--json'])).json<{
      general: { quotas: { messagesPerSession: number | null } };
    }>();
    read.general.quotas.messagesPerSession = 9000;
    writeFileSync(join(folder, 'policies.json'), JSON.stringify(read));
    expect(await run(['policies', '--set', 'policies.json'])).toMatchObject({ exit: 0 });
    expect((await history()).stdout).toMatch(
      /^version 1, 2026-05-01T08:00:00.000Z, by [0-9a-f-]+\n {2}general\/quotas\/messagesPerSession: null -> 9000\n$/,
    );
    expect((await history('--json')).json<{ versions: object[] }>().versions).toMatchObject([
      { version: 1, changes: [{ path: '/general/quotas/messagesPerSession', before: null, after: 9000 }] },
    ]);
    expect(await history('--set', 'policies.json')).toMatchObject({ exit: 2 });
    expect(await run(['policies', '--limit', '1'])).toMatchObject({ exit: 2 });
    read.general.quotas.messagesPerSession = null;
    writeFileSync(join(folder, 'policies.json'), JSON.stringify({ ...read, version: 1 }));
    expect(await run(['policies', '--set', 'policies.json'])).toMatchObject({ exit: 0 });
    expect((await history('--limit', '1')).stderr).toContain('There are more: --cursor');
  });

  it('reports on a subject, erases it, and shows the certificate', async () => {
    await begin('Bob');
    expect(await run(['report', 'Bob', '--to', 'bob.jsonl'])).toMatchObject({ exit: 0 });
    const lines = readFileSync(join(folder, 'bob.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual([
      'subject',
      'session',
      'message',
      'end',
    ]);
    expect(await run(['report', 'Bob', '--to', 'bob.jsonl'])).toMatchObject({ exit: 4 });
    expect((await run(['report', 'Bob'])).stdout.trimEnd().split('\n')).toHaveLength(4);
    expect(await run(['erasures', '--subject', 'Bob'])).toMatchObject({ exit: 2 });
    expect(await run(['erasures', '--plan'])).toMatchObject({ exit: 2 });
    expect(await run(['erasures', '--plan', '--subject', 'Bobby'])).toMatchObject({ exit: 1 });
    const planned = (await run(['erasures', '--plan', '--subject', 'Bob'])).stdout;
    expect(planned).toMatch(/goes +1 session, 1 message\b[^]*of class general +1 session\b[^]*held +nothing/);
    expect(planned).toMatch(/SESSION +CLASS[^]*general +goes +1 +0 +0/);
    expect((await run(['erasures'])).stdout).toBe('No erasures.\n');
    const asked = (await run(['erasures', '--subject', 'Bob', '--reason', 'asked', '--json'])).json<{
      id: string;
    }>();
    await service.context.chat.governance.erasures.idle();
    const shown = await run(['erasures', asked.id]);
    expect(shown.stdout).toMatch(/status +done[^]*erased +1 session, 1 message\b/);
    expect((await run(['erasures'])).stdout).toContain(asked.id);
    expect(await run(['report', 'Bob'])).toMatchObject({ exit: 1 });
  });

  it('says with exit 3 that a hold keeps something', async () => {
    await begin('Eve');
    await run(['holds', '--reason', 'x', '--subject', 'Eve']);
    const planned = (await run(['erasures', '--plan', '--subject', 'Eve'])).stdout;
    expect(planned).toMatch(
      /goes +nothing[^]*held +1 message\b[^]*by hold +\S{36}[^]*general +stays +1 +0 +1/,
    );
    const asked = (await run(['erasures', '--subject', 'Eve', '--reason', 'asked', '--json'])).json<{
      id: string;
    }>();
    await service.context.chat.governance.erasures.idle();
    const shown = await run(['erasures', asked.id]);
    expect(shown.exit).toBe(3);
    expect(shown.stdout).toContain('1 message: held');
  });

  it('says that break-glass goes off later, and takes that back', async () => {
    const set = async (breakGlass: boolean) => {
      const before = (await run(['policies', '--json'])).json<{ general: object }>();
      writeFileSync(
        join(folder, 'glass.json'),
        JSON.stringify({ ...before, general: { ...before.general, breakGlass } }),
      );
      return run(['policies', '--set', 'glass.json']);
    };
    expect((await set(true)).stderr).toBe('');
    const asked = await set(false);
    expect(asked.stderr).toMatch(/stays in force until 2026-05-02T08:00:00\.000Z[^]*--take-back/);
    expect(asked.stdout).toContain('"breakGlass": true');
    expect(await run(['policies', '--set', 'glass.json', '--take-back'])).toMatchObject({ exit: 2 });
    expect((await run(['policies', '--take-back'])).stdout).toContain('"pending": null');
    await set(false);
    clock.advance(86_400_000);
    expect((await run(['policies'])).stdout).toContain('"breakGlass": false');
  });

  it('replaces policies, plans, applies and takes back', async () => {
    const before = (await run(['policies', '--json'])).json<{
      classes: Record<string, { retention: object }>;
    }>();
    const general = before.classes['general']!;
    const brief = { ...general, retention: { ...general.retention, message: { days: 2, binDays: 1 } } };
    writeFileSync(
      join(folder, 'policies.json'),
      JSON.stringify({ ...before, classes: { ...before.classes, brief } }),
    );
    expect(await run(['policies', '--set', 'policies.json'])).toMatchObject({ exit: 0 });
    expect(await run(['policies', '--set', 'policies.json'])).toMatchObject({ exit: 4 });
    const id = await begin('Cem', 'brief');
    const kept = await begin('Dana', 'brief');
    const hold = (await run(['holds', '--session', kept, '--reason', 'dispute', '--json'])).json<{
      id: string;
    }>();
    clock.advance(5 * 86_400_000);
    const planned = await run(['retention', '--plan']);
    expect(planned.stdout).toContain(`bin session ${id} of class brief`);
    expect(planned.stdout).toMatch(/of class +brief: bin 1 session, 1 message; purge \S+; held 1\n/);
    expect(planned.stdout).toMatch(new RegExp(`held by +${hold.id}: 1\n`));
    const command = /governance retention (\S+) --apply (\S+)/.exec(planned.stdout)!;
    expect(await run(['retention', '--apply', 'x'])).toMatchObject({ exit: 2 });
    expect((await run(['retention', command[1]!, '--apply', command[2]!])).stdout).toContain(
      'binned 1 session, 1 message',
    );
    expect(await run(['retention', command[1]!, '--apply', command[2]!])).toMatchObject({ exit: 4 });
    expect((await run(['retention'])).stdout).toMatch(new RegExp(`${command[1]} +applied`));
    expect((await run(['retention', command[1]!, '--undo'])).stdout).toMatch(/state +undone/);
    const noBin = { ...brief, retention: { ...brief.retention, message: { days: 2, binDays: 0 } } };
    const now = (await run(['policies', '--json'])).json<{ classes: object }>();
    writeFileSync(
      join(folder, 'no-bin.json'),
      JSON.stringify({ ...now, classes: { ...now.classes, brief: noBin } }),
    );
    await run(['policies', '--set', 'no-bin.json']);
    expect((await run(['retention', '--plan'])).stdout).toMatch(
      /into the bin +nothing[^]*purged +1 session, 1 message for ever: no undo/,
    );
    expect((await run(['retention', '--help'])).stdout).toMatch(/purges it at once/);
  });

  it('lists, shows, lets in by a second person and removes what is held back', async () => {
    const policies = (await run(['policies', '--json'])).json<{ classes: Record<string, object> }>();
    const sensitive = { secrets: 'quarantine', personal: 'allow', nationalIds: 'allow', roles: {} };
    const classes = { ...policies.classes, held: { ...policies.classes['general'], sensitive } };
    writeFileSync(join(folder, 'held.json'), JSON.stringify({ ...policies, classes }));
    expect(await run(['policies', '--set', 'held.json'])).toMatchObject({ exit: 0 });
    expect((await run(['quarantine'])).stdout).toBe('Nothing waits in quarantine.\n');

    const session = await begin('Held', 'held');
    const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'application/json' };
    const secret = 'password=S3cr3t!horse9';
    const hold = async (): Promise<string> => {
      const body = JSON.stringify({ role: 'user', parts: [{ type: 'text', text: secret }] });
      const url = `${service.url}/api/sessions/${session}/messages`;
      const answer = await fetch(url, { method: 'POST', headers, body });
      return ((await answer.json()) as { quarantineId: string }).quarantineId;
    };
    const [first, second] = [await hold(), await hold()];
    const listed = await run(['quarantine', 'list', '--limit', '1']);
    expect(listed.stdout).toMatch(new RegExp(`${second} +waiting +2026\\S+ +${session}\\.3 +password`));
    expect(listed.stderr).toMatch(/There are more: --cursor/);

    expect((await run(['quarantine', 'show', first])).stdout).not.toContain('S3cr3t');
    expect((await run(['quarantine', 'show', first, '--original'])).stdout).toContain('S3cr3t!horse9');
    expect(await run(['quarantine', 'release', first])).toMatchObject({ exit: 2 });
    expect(await run(['quarantine', 'keep', first])).toMatchObject({ exit: 2 });
    expect(await run(['quarantine', 'show'])).toMatchObject({ exit: 2 });
    const release = ['quarantine', 'release', first, '--reason', 'a test account'];
    const asked = await run(release);
    expect(asked).toMatchObject({ exit: 3 });
    expect(asked.stdout).toMatch(/approved by one[^]*reason +a test account/);
    const again = await run(release);
    expect(again).toMatchObject({ exit: 4 });
    expect(again.stderr).toMatch(/can be let in from/);
    expect((await run(release, await service.token({ role: 'owner' }))).stdout).toMatch(/^Let .* in/);

    const reject = await run(['quarantine', 'reject', second, '--reason', 'a real one']);
    expect(reject.stdout).toMatch(/^Removed the original/);
    const file = await fetch(`${service.url}/api/sessions/${session}/attachments?name=notes.txt`, {
      ...{ method: 'POST', headers: { ...headers, 'Content-Type': 'text/plain' }, body: secret },
    });
    const { quarantineId } = (await file.json()) as { quarantineId: string };
    const show = ['quarantine', 'show', quarantineId, '--original'];
    expect((await run(show)).stdout).toMatch(new RegExp(`file of ${session}[^]*notes.txt`));
    expect(await run([...show, '--output', 'notes.txt'])).toMatchObject({ exit: 0 });
    expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe(secret);
    // Nothing that is there is written over.
    expect(await run([...show, '--output', 'notes.txt'])).toMatchObject({ exit: 1 });

    const unknown = await run(['quarantine', 'show', second]);
    expect(unknown).toMatchObject({ exit: 1 });
    expect(unknown.stderr).toMatch(/governance quarantine` lists what waits/);
  });

  it('lets somebody in and out again', async () => {
    const planner = await service.token({ role: 'planner' });
    const id = await begin('Dee', 'general', planner);
    const until = new Date(clock.now() + 3_600_000).toISOString();
    const made = await run(
      ['grants', '--session', id, '--to', 'team', '--until', until, '--reason', 'pairing', '--json'],
      planner,
    );
    const grant = made.json<{ id: string; state: string }>();
    expect(grant.state).toBe('active');
    expect((await run(['grants', '--session', id], planner)).stdout).toContain(grant.id);
    expect(await run(['grants', '--session', id, '--reason', 'x'], planner)).toMatchObject({ exit: 2 });
    const typed = ['grants', '--session', id, '--to', 'team', '--reason', 'x', '--until'];
    for (const wrong of ['soon', '2 weeks', '2026-05-01 12:00', '2y']) {
      const refused = await run([...typed, wrong], planner);
      expect([wrong, refused.exit, refused.stderr]).toEqual([
        wrong,
        2,
        expect.stringContaining(`--until: "${wrong}"`),
      ]);
    }
    const before = Date.now();
    const short = (await run([...typed, '2h', '--json'], planner)).json<{ id: string; expiresAt: string }>();
    expect(Date.parse(short.expiresAt) - 2 * 3_600_000).toBeGreaterThanOrEqual(before);
    await run(['grants', '--revoke', short.id], planner);
    const toName = (name: string) =>
      run(['grants', '--session', id, '--to', name, '--until', '2h', '--reason', 'x', '--json'], planner);
    await service.cookie();
    const other = await service.context.people.list();
    const names = other.filter(({ status }) => status === 'active').map(({ name }) => name);
    const single = names.find((name) => names.filter((one) => one === name).length === 1)!;
    const named = await toName(single.toUpperCase());
    const meant = other.find(({ name }) => name === single)!.id;
    expect([named.exit, named.json()]).toMatchObject([0, { grantee: meant }]);
    await run(['grants', '--revoke', named.json<{ id: string }>().id], planner);
    const nobody = await toName('Nobody');
    expect([nobody.exit, nobody.stderr]).toEqual([
      ...[2, expect.stringMatching(/nobody here has the name "Nobody"[^]*team/)],
    ]);
    for (let n = 0; n < 2; n += 1) {
      const link = await service.context.people.invite(SYSTEM, { name: 'Twin', role: 'reviewer' });
      await service.cookie(link.id);
    }
    const twins = await toName('Twin');
    expect([twins.exit, twins.stderr]).toEqual([
      ...[2, expect.stringMatching(/2 people have the name "Twin": Twin \(\S{36}\)[^]*Give the id/)],
    ]);
    expect(await run(['grants', '--break-glass', '--until', until, '--reason', 'x'])).toMatchObject({
      exit: 4,
    });
    expect(await run(['grants', '--revoke', grant.id], planner)).toMatchObject({ exit: 0 });
    expect((await run(['grants', '--session', id], planner)).stdout).toContain('revoked');
    expect((await run(['grants', '--session', id, '--open'], planner)).stdout).toBe('No grants.\n');
  });
});
