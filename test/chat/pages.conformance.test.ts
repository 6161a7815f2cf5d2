import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

let service: TestService;
let cookie: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), workItems: itemFiles('wi-1', 'ready') });
  cookie = await service.cookie();
});
afterAll(() => service.close());

const { begin, say, call } = clientOf(() => service);

async function page(path: string, as = cookie): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${service.url}${path}`, {
    headers: { Cookie: as, Accept: 'text/html' },
    redirect: 'manual',
  });
  return { status: answer.status, text: await answer.text() };
}

/** Sends a form of a page as a browser does; where it leads. */
async function submit(path: string, fields: Record<string, string>, as = cookie) {
  const csrf = /name="_csrf" value="([^"]+)"/.exec((await page('/sessions', as)).text)?.[1] ?? '';
  const answer = await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { Cookie: as, Accept: 'text/html', Origin: service.url },
    body: new URLSearchParams({ _csrf: csrf, ...fields }),
    redirect: 'manual',
  });
  return {
    status: answer.status,
    location: answer.headers.get('location') ?? '',
    text: await answer.text(),
  };
}

describe('the pages of sessions', () => {
  it('begin one, write to it, and show what was written', async () => {
    expect((await page('/sessions')).text).toContain('No sessions yet');
    const made = await submit('/sessions', {
      title: 'Deploy <b>notes</b>',
      class: 'support',
      itemId: 'wi-1',
    });
    expect(made.status).toBe(303);
    const empty = (await page(made.location)).text;
    expect(empty).toContain('Deploy &lt;b&gt;notes&lt;/b&gt;');
    expect(empty).toContain('Nobody wrote here yet.');
    const text = '**Bold** <script>alert(1)</script>\n\n```js\n1 < 2\n```\n[redacted: aws-secret-access-key]';
    const sent = await submit(`${made.location}/messages`, { text });
    expect(sent).toMatchObject({ status: 303, location: `${made.location}#m1` });
    const shown = (await page(made.location)).text;
    expect(shown).toContain('<strong>Bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;');
    expect(shown).toContain('1 &lt; 2');
    expect(shown).toContain('redacted · aws secret access key');
    expect((await page('/sessions')).text).toContain(`href="${made.location}"`);
    expect((await page('/items/wi-1')).text).toContain(`href="${made.location}"`);
    expect((await page('/sessions?itemId=wi-2')).text).toContain('No session fits this filter.');
  });

  it('say what is wrong with a form, and keep what was typed', async () => {
    const wrong = await submit('/sessions', { title: 'Kept', class: 'no class', itemId: '' });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain('value="Kept"');
    expect(wrong.text).toContain('id="begin-class-problem"');
    const unknown = await submit('/sessions', { itemId: 'wi-unknown' });
    expect(unknown).toMatchObject({ status: 400, text: expect.stringContaining('no such work item') });
  });

  it('ask before they delete a message or a session', async () => {
    const { id } = await begin({ title: 'To be deleted' });
    await say(id, 'first words');
    await say(id, 'second words');
    const asked = await submit(`/sessions/${id}/messages/1/delete`, {});
    expect(asked).toMatchObject({ status: 200, text: expect.stringContaining('Delete message 1?') });
    expect((await submit(`/sessions/${id}/messages/1/delete`, { step: 'apply' })).status).toBe(303);
    const left = (await page(`/sessions/${id}`)).text;
    expect(left).not.toContain('first words');
    expect(left).toContain('second words');
    expect((await submit(`/sessions/${id}/delete`, {})).text).toContain('Delete this session?');
    expect(await submit(`/sessions/${id}/delete`, { step: 'apply' })).toMatchObject({
      ...{ status: 303, location: '/sessions' },
    });
    expect((await page(`/sessions/${id}`)).status).toBe(410);
  });

  it('show earlier messages behind a link', async () => {
    const { id } = await begin();
    const messages = Array.from({ length: 70 }, (_, n) => ({
      ...{ role: 'user', parts: [{ type: 'text', text: `line ${n + 1}.` }] },
    }));
    await call('POST', `/api/sessions/${id}/messages:batch`, { messages });
    const newest = (await page(`/sessions/${id}`)).text;
    expect(newest).toContain('line 70.');
    expect(newest).not.toContain('line 20.');
    expect(newest).toContain(`href="/sessions/${id}?before=21"`);
    const earlier = (await page(`/sessions/${id}?before=21`)).text;
    expect(earlier).toContain('line 20.');
    expect(earlier).toContain('Newest messages');
  });

  it('show where a message was deleted', async () => {
    const { id } = await begin({ title: 'With gaps' });
    for (let n = 1; n <= 60; n += 1) await say(id, `words ${n}`);
    for (const seq of [1, 5, 30, 31, 60]) await call('DELETE', `/api/sessions/${id}/messages/${id}.${seq}`);
    const order = (text: string) =>
      [...text.matchAll(/id="m(\d+)"|(Messages? [\d to]+) (?:was|were) deleted/g)].map(
        ([, seq, gone]) => gone ?? Number(seq),
      );
    const newest = order((await page(`/sessions/${id}`)).text);
    expect(newest.slice(0, 1)).toEqual([8]);
    expect(newest.slice(-2)).toEqual([59, 'Message 60']);
    expect(newest.slice(21, 24)).toEqual([29, 'Messages 30 to 31', 32]);
    const earlier = order((await page(`/sessions/${id}?before=8`)).text);
    expect(earlier).toEqual(['Message 1', 2, 3, 4, 'Message 5', 6, 7]);
    const auditor = await service.cookie(
      (await service.context.people.invite(SYSTEM, { name: 'Looks on', role: 'auditor' })).id,
    );
    expect((await page(`/sessions/${id}`, auditor)).text).not.toContain('deleted');
  });

  it('offer its export to who reads it, and say of an empty one that it is empty', async () => {
    const { id } = await begin({ title: 'To take along' });
    expect((await page(`/sessions/${id}`)).text).toMatch(/Content<\/dt>\s*<dd>0</);
    await say(id, 'x');
    const { text } = await page(`/sessions/${id}`);
    expect(text).toMatch(/Content<\/dt>\s*<dd>1 KiB</);
    for (const format of ['jsonl', 'openai']) {
      const url = `/api/sessions/${id}/export?format=${format}`;
      expect(text).toContain(`href="${url}"`);
      expect((await page(url)).status).toBe(200);
    }
    expect((await page('/sessions')).text).toContain('href="#begin">Begin a session');
  });

  it('show an auditor that a session is there, and none of its content', async () => {
    const { id } = await begin({ title: 'Not for auditors' });
    await say(id, 'nor is this');
    const person = await service.context.people.invite(
      { kind: 'system', id: 'system', personId: null, roles: [] },
      { name: 'Ida', role: 'auditor' },
    );
    const auditor = await service.cookie(person.id);
    const list = await page('/sessions', auditor);
    expect(list.text).toContain(id);
    expect(list.text).not.toContain('Not for auditors');
    expect(list.text).toContain('Title withheld');
    expect(list.text).not.toContain('Untitled session');
    const search = await page('/search', auditor);
    expect([search.status, search.text]).toEqual([403, expect.stringContaining('not for your role')]);
    const one = await page(`/sessions/${id}`, auditor);
    expect(one.text).toContain('not for your role');
    expect(one.text).toMatch(/<h1>Title withheld/);
    expect(one.text).not.toContain('/export?');
    expect(one.text).not.toContain('nor is this');
  });
});

describe('a file of a message', () => {
  const attach = async (session: string, content: string, name: string) => {
    const answer = await fetch(`${service.url}/api/sessions/${session}/attachments?name=${name}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'text/plain' },
      body: content,
    });
    return ((await answer.json()) as { id: string }).id;
  };
  const name = (session: string, attachmentId: string, more: object = {}) =>
    call('POST', `/api/sessions/${session}/messages`, {
      ...{ role: 'user', parts: [{ type: 'attachment', attachmentId, ...more }] },
    });

  it('is shown by the name that its message gives, else by its own', async () => {
    const { id } = await begin();
    await name(id, await attach(id, 'a', 'own-name.txt'));
    await name(id, await attach(id, 'b', 'other.txt'), { name: 'as-said.txt' });
    const shown = (await page(`/sessions/${id}`)).text;
    expect(shown).toMatch(/>own-name\.txt<\/a>[^]*>as-said\.txt<\/a>/);
    expect(shown).not.toContain('other.txt');
    expect(shown).not.toContain('waits in quarantine');
  });

  it('has a mark while it waits in quarantine', async () => {
    const { body } = await call<{ general: object; classes: Record<string, { sensitive: object }> }>(
      ...(['GET', '/api/governance/policies'] as const),
    );
    const { general, classes } = body;
    const policy = classes['general'];
    const sensitive = { ...policy?.sensitive, secrets: 'quarantine' };
    const held = { ...policy, sensitive };
    await call('PUT', '/api/governance/policies', { general, classes: { ...classes, held } });
    const { id } = await begin({ class: 'held' });
    const token = `ghp_${'a1B2'.repeat(9)}`;
    await name(id, await attach(id, `it is ${token}`, 'secret.txt'), { name: 'notes.txt' });
    await name(id, await attach(id, `and ${token}`, 'unnamed.txt'));
    await name(id, await attach(id, 'nothing in it', 'plain.txt'));
    const shown = (await page(`/sessions/${id}`)).text;
    expect(shown.match(/waits in quarantine/g)).toHaveLength(2);
    expect(shown).toMatch(/notes\.txt<\/a>[^]*waits in[^]*>attachment<\/a>[^]*waits in[^]*>plain\.txt<\/a>/);
    expect(shown).not.toContain('withheld:');
    await call('PUT', '/api/governance/policies', { general, classes });
  });
});
