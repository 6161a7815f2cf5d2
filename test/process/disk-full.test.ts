import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callerOf, newToken, type Caller } from './client.ts';
import { factoryJson, newPlace, serve, type Place, type Service } from './service.ts';

/**
 * A data folder on a small disk of its own that fills up. To mount one takes root, which the machines that run all suites
 * give; a person's own machine is not asked for it.
 */

let place: Place;
let service: Service;
let owner: Caller;

beforeEach(async () => {
  place = newPlace({ files: {} });
  mkdirSync(place.data);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', place.data]);
  service = await serve(place);
  owner = callerOf(() => service.url, (await newToken(place, 'owner')).token);
});
afterEach(async () => {
  await service.stop();
  execFileSync('umount', [place.data]);
  rmSync(place.dir, { recursive: true, force: true });
});

const fillFile = (): string => join(place.data, 'filled');
const say = (id: string, text: string, key: string) =>
  owner.post(
    `/api/sessions/${id}/messages`,
    { role: 'user', parts: [{ type: 'text', text }] },
    { 'idempotency-key': key },
  );

/** Leaves so many bytes of room. */
function fillTo(left: number): void {
  const { bavail, bsize } = statfsSync(place.data);
  writeFileSync(fillFile(), Buffer.alloc(Math.max(bavail * bsize - left, 0)), { flag: 'a' });
}

describe.runIf(process.getuid?.() === 0)('a full disk', () => {
  it('is told in words by each way of writing, and leaves all that was answered as it was', async () => {
    const { id } = (await owner.post('/api/sessions', { subjectId: 'somebody' })).body as { id: string };
    for (const n of [1, 2, 3]) expect((await say(id, `text ${n}`, `k${n}`)).status).toBe(201);
    fillTo(700_000);
    const file = await owner.send('POST', `/api/sessions/${id}/attachments`, {
      ...{ body: Buffer.alloc(3_000_000, 7), headers: { 'content-type': 'application/octet-stream' } },
    });
    expect(file).toMatchObject({ status: 503, body: { code: 'attachment-unwritable', retryable: true } });
    fillTo(0);
    const begun = await owner.post('/api/sessions', { subjectId: 'somebody else', title: 'x'.repeat(400) });
    expect(begun).toMatchObject({ status: 503, body: { code: 'side-file-unwritable', retryable: true } });
    const lost = await say(id, 'y'.repeat(50_000), 'k4');
    expect(lost).toMatchObject({ status: 503, body: { code: 'database-write-failed', retryable: true } });
    const line = JSON.stringify({ messages: [{ role: 'user', content: 'z'.repeat(90_000) }] });
    const imported = await owner.send('POST', '/api/sessions/import?format=openai', {
      ...{ body: `${line}\n`, headers: { 'content-type': 'application/x-ndjson' } },
    });
    expect(imported.status).toBe(503);
    expect((await owner.get('/api/sessions')).body.sessions).toHaveLength(1);
    // A killed service loses nothing of it either.
    await service.kill();
    rmSync(fillFile());
    service = await serve(place);
    expect(await say(id, 'y'.repeat(50_000), 'k4')).toMatchObject({ status: 201, body: { seq: 4 } });
    expect(await say(id, 'text 2', 'k2')).toMatchObject({ status: 200, body: { seq: 2 } });
    const { messages } = (await owner.get(`/api/sessions/${id}/messages`)).body as {
      messages: { seq: number }[];
    };
    expect(messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    await service.stop();
    expect(await factoryJson(place, 'verify-audit')).toMatchObject({ code: 0, answer: { ok: true } });
  });
});
