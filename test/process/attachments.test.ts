import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { newToken } from './client.ts';
import { newPlace, serve } from './service.ts';

const MIB = 1024 * 1024;
const CHUNK = 256 * 1024;
const BYTES = 95 * MIB;
const TIMES = 3;

/** Most memory that the process ever held, in bytes. */
function peakOf(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

it('streams large attachments in little memory', { timeout: 120_000 }, async () => {
  const place = newPlace({ files: {} });
  const service = await serve(place);
  try {
    const { token } = await newToken(place, 'owner');
    const headers = { Authorization: `Bearer ${token}` };
    const begun = await fetch(`${service.url}/api/sessions`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: '{}',
    });
    const { id } = (await begun.json()) as { id: string };
    const before = peakOf(service.pid);
    for (let n = 0; n < TIMES; n += 1) {
      const digest = createHash('sha256');
      async function* content() {
        for (let sent = 0; sent < BYTES; sent += CHUNK) {
          const chunk = randomBytes(CHUNK);
          digest.update(chunk);
          yield chunk;
        }
      }
      const answer = await fetch(`${service.url}/api/sessions/${id}/attachments`, {
        ...{ method: 'POST', headers, duplex: 'half' },
        body: Readable.toWeb(Readable.from(content())),
      });
      const sent = (await answer.json()) as { id: string; sha256: string; bytes: number };
      expect(sent).toMatchObject({ bytes: BYTES, sha256: digest.digest('hex') });
      const got = await fetch(`${service.url}/api/sessions/${id}/attachments/${sent.id}`, { headers });
      const back = createHash('sha256');
      for await (const part of got.body ?? []) back.update(part as Uint8Array);
      expect(back.digest('hex')).toBe(sent.sha256);
    }
    // All of them together are 285 MiB, twice; what is only not collected yet is a part of one.
    expect(peakOf(service.pid) - before).toBeLessThan(190 * MIB);
  } finally {
    await service.stop();
  }
});
