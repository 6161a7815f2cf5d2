import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientOf, type Client } from '../http/contract.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';

/** A way to the shared server that can be cut, as if the server were stopped. */
async function cuttableWay(target: URL) {
  const sockets = new Set<Socket>();
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((from) => {
      const to = connect(Number(target.port), target.hostname);
      for (const [one, other] of [[from, to] as const, [to, from] as const]) {
        sockets.add(one);
        one.on('error', () => other.destroy()).on('close', () => other.destroy());
        one.pipe(other);
      }
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    cut(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    async mend(): Promise<void> {
      server = await listen(port);
    },
  };
}

describe('while Postgres is away', () => {
  const ITEM = '/api/control-plane/items/wi-P-1';
  let way: Awaited<ReturnType<typeof cuttableWay>>;
  let service: TestService;
  let owner: Client;
  let cookie: string;
  beforeAll(async () => {
    const url = new URL(await createDatabase());
    way = await cuttableWay(new URL(url));
    url.port = String(way.port);
    service = await startService({ databaseUrl: url.href, workItems: itemFiles('wi-P-1', 'backlog') });
    owner = clientOf(service.url, service.owner);
    cookie = await service.cookie();
    expect((await owner(`POST ${ITEM}/actions/record-history`)).status).toBe(200);
    way.cut();
  });
  afterAll(async () => {
    way.cut();
    await way.mend();
    await service.close();
    way.cut();
  });

  const away = {
    status: 503,
    body: { code: 'database-unreachable', retryable: true, hint: expect.any(String) },
  };

  it.each([
    `GET /api/control-plane/items`,
    `GET ${ITEM}`,
    `POST ${ITEM}/actions/record-history`,
    'POST /api/audit/verifications',
  ])('%s says so, and that it may pass', async (call) => {
    const answer = await owner(call);
    expect(answer).toMatchObject(away);
    expect(answer.headers.get('retry-after')).not.toBeNull();
  });

  it('reads, writes and snapshots say so whatever part they are in', async () => {
    const { storage } = service.context;
    const code = { code: 'database-unreachable', retryable: true };
    await expect(storage.read.query((db) => db.selectFrom('meta').selectAll())).rejects.toMatchObject(code);
    await expect(storage.write(async () => undefined)).rejects.toMatchObject(code);
    await expect(storage.snapshot(async () => undefined)).rejects.toMatchObject(code);
    await way.mend();
    const cutInside = storage.write(async (tx) => {
      way.cut();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await tx.query((db) => db.selectFrom('meta').selectAll());
    });
    await expect(cutInside).rejects.toMatchObject(code);
    await way.mend();
    const snapshot = storage.snapshot(async (reader) => {
      way.cut();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await reader.query((db) => db.selectFrom('meta').selectAll());
    });
    await expect(snapshot).rejects.toMatchObject(code);
  });

  it('pages say so', async () => {
    const page = await fetch(`${service.url}/items/wi-P-1`, { headers: { cookie, accept: 'text/html' } });
    expect([page.status, await page.text()]).toEqual([503, expect.stringContaining('Postgres')]);
  });

  it('and it goes on by itself when it is back', async () => {
    await way.mend();
    expect((await owner(`GET ${ITEM}`)).status).toBe(200);
    expect((await owner(`POST ${ITEM}/actions/record-history`)).status).toBe(200);
  });
});
