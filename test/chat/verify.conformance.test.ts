import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { encodeParts, sealParts } from '../../service/chat/messages/content.ts';
import { openChatKeys } from '../../service/chat/keys/keys.ts';
import { verifyInstallation } from '../../service/offline.ts';
import { installationId } from '../../service/storage/open.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { rawSql } from '../storage/engine.ts';
import { clientOf } from './client.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const sql = (...statements: string[]) => rawSql(service.context.config.databaseUrl, ...statements);
const problems = async () => (await service.context.verifyAudit()).problems;

let session: string;
let of: string;
beforeEach(async () => {
  session = (await begin({ subjectId: 'Ada' })).id;
  of = `session = (select number from chat_sessions where id = '${session}')`;
  await say(session, 'the first');
  await call('POST', `/api/sessions/${session}/messages`, {
    role: 'tool',
    parts: [{ type: 'tool-result', toolCallId: 'c', name: 'run', output: { lines: 3 } }],
  });
  await say(session, 'the third');
});

/** What verification says of a message of this session. */
const saidOf = async (seq: number): Promise<string[]> =>
  (await problems()).flatMap(({ code, message }) =>
    new RegExp(`${session}\\.${seq}\\b`).test(message) ? [code] : [],
  );

/** As somebody would who has the keyring: content that opens. */
async function forge(seq: number, text: string): Promise<void> {
  const { storage, config } = service.context;
  const keys = openChatKeys({
    ...{ keyringDir: config.keyringDir, installation: await installationId(storage.read), expected: true },
  });
  const [row] = await storage.read.query((db) =>
    db
      .selectFrom('chat_messages as m')
      .innerJoin('chat_sessions as s', 's.number', 'm.session')
      .select(['m.number', 'm.key_id', 'm.row_version'])
      .where('s.id', '=', session)
      .where('m.seq', '=', seq),
  );
  const where = { session, seq, version: row!.row_version };
  const { body } = sealParts(keys.byId(row!.key_id), where, encodeParts([{ type: 'text', text }]));
  keys.close();
  const hex = body.toString('hex');
  await sql(
    `update chat_messages set body = ${storage.engine === 'sqlite' ? `x'${hex}'` : `'\\x${hex}'`} where number = ${row!.number}`,
  );
}

describe('verify-audit of messages', () => {
  it('finds nothing wrong with what was written, deleted, brought, let go and erased', async () => {
    await call('DELETE', `/api/sessions/${session}/messages/${session}.1`);
    const gone = (await begin({ subjectId: 'Bob' })).id;
    await say(gone, 'about Bob');
    await call('POST', '/api/governance/erasures', { subjectId: 'Bob', reason: 'asked' });
    await service.context.chat.governance.erasures.idle();
    const away = (await begin()).id;
    await say(away, 'deleted with its session');
    await call('DELETE', `/api/sessions/${away}`);
    const line = { messages: [{ role: 'user', content: 'from elsewhere' }] };
    const brought = await call<{ sessions: { id: string }[] }>(
      ...(['POST', '/api/sessions/import?format=openai', JSON.stringify(line), service.owner] as const),
      { 'Content-Type': 'application/x-ndjson' },
    );
    expect(brought.status).toBe(201);
    await say(brought.body.sessions[0]!.id, 'and after it');
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('cannot tell an output that retention took from what it was, and says nothing of it', async () => {
    await sql(`update chat_messages set tool_output = null where ${of} and seq = 2`);
    expect(await saidOf(2)).toEqual([]);
  });

  it('finds content that was sealed anew by somebody who has the keys', async () => {
    await forge(3, 'the forged third');
    const read = await call<{ messages: { parts: { text: string }[] }[] }>(
      ...(['GET', `/api/sessions/${session}/messages`] as const),
    );
    expect(JSON.stringify(read.body)).toContain('the forged third');
    expect(await saidOf(3)).toEqual(['message-altered']);
    expect(await saidOf(1)).toEqual([]);
  });

  it.each([
    ['another role', "role = 'system'", 1],
    ['a body that is not sealed', 'body = tool_output', 2],
    ['an output that is not sealed', 'tool_output = body', 2],
  ])('finds %s', async (_, change, seq) => {
    await sql(`update chat_messages set ${change} where ${of} and seq = ${seq}`);
    expect(await saidOf(seq)).toEqual(['message-altered']);
  });

  it('finds a row that is gone, which not even a deletion takes away', async () => {
    await sql(`delete from chat_messages where ${of} and seq = 2`);
    expect(await saidOf(2)).toEqual(['message-missing']);
  });

  it('finds a row that the service did not write', async () => {
    await sql(
      `insert into chat_messages (session, seq, subject, author, role, key_id, row_version, bytes, created_at, body)
       select session, 4, subject, author, role, key_id, row_version, bytes, created_at, body from chat_messages where ${of} and seq = 3`,
    );
    expect(await saidOf(4)).toEqual(['message-without-entry']);
  });

  it('says that content was not compared where the keys are not at hand', async () => {
    const { storage, config } = service.context;
    const elsewhere = mkdtempSync(join(tmpdir(), 'factory-vkey-'));
    cpSync(join(config.keyringDir, 'audit-log.vkey'), join(elsewhere, 'audit-log.vkey'));
    const result = await verifyInstallation(storage, { ...config, keyringDir: elsewhere });
    rmSync(elsewhere, { recursive: true });
    expect(result.notChecked.join(' ')).toContain('Contents of messages');
    expect(result.problems.map(({ code }) => code)).toContain('message-missing');
  });
});
