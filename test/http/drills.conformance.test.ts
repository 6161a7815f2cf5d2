import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publicKeyOf } from '../../service/ed25519.ts';
import { DRILL_FORMAT, evidenceDigest, signEvidence } from '../../service/jobs/evidence.ts';
import type { Evidence, UnsignedEvidence } from '../../service/jobs/evidence.ts';
import { installationId } from '../../service/storage/open.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { auditText, clientOf, type Client } from './contract.ts';

/** Evidence of drills from other machines, on the engine of the running project. */

const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const [drillHost, stranger, installationKey] = [newKey(), newKey(), newKey()];
const REPORT = 'POST /api/operations/drills';

let service: TestService;
let operator: Client;
let installation: string;
beforeAll(async () => {
  service = await startService({
    databaseUrl: await createEngineDatabase(),
    env: { FACTORY_DRILL_SIGNERS: publicKeyOf(drillHost) },
  });
  installation = await installationId(service.context.storage.read);
  operator = clientOf(service.url, await service.token({ role: 'operator' }));
});
afterAll(() => service.close());

let made = 0;
function evidence(change: Partial<UnsignedEvidence> = {}, key = drillHost): Evidence {
  made += 1;
  const unsigned: UnsignedEvidence = {
    ...{ format: DRILL_FORMAT, id: `00000000-0000-4000-8000-${String(made).padStart(12, '0')}` },
    ...{ installation, subject: 'factory', url: 's3://bucket/place', outcome: 'pass' },
    ...{ at: new Date(Date.now() - 60_000 + made).toISOString(), backupId: 'full/factory/x', sha256: null },
    ...{ rpoSeconds: 12.5, rpoBudgetSeconds: 900, rtoSeconds: 3.25, restoreSeconds: 1, bootSeconds: 2 },
    ...{ checks: [{ name: 'restore', status: 'pass', detail: 'Whole.' }], network: 'enforced', canary: null },
    ...{ release: null, host: 'drill-host' },
    ...change,
  };
  return signEvidence(unsigned, key);
}

describe('evidence of a drill', () => {
  it('is recorded once, and its digest stands in the audit log', async () => {
    const body = evidence();
    const first = await operator(REPORT, { body });
    expect(first).toMatchObject({ status: 201, body: { id: body.id, outcome: 'pass', rtoSeconds: 3.25 } });
    expect(first.body['digest']).toBe(evidenceDigest(body));
    expect(await operator(REPORT, { body })).toMatchObject({ status: 200, body: first.body });
    const [newest] = await service.context.drills.history(1);
    expect(newest).toEqual(first.body);
    const log = await auditText(service.url, service.owner);
    expect(log.split(evidenceDigest(body))).toHaveLength(2);
    expect((await service.context.verifyAudit()).problems).toEqual([]);
  });

  it("is believed when the installation's own key signed it", async () => {
    const body = evidence({}, installationKey);
    expect(await operator(REPORT, { body })).toMatchObject({ body: { code: 'drill-signer-unknown' } });
    const path = join(service.dataDir, 'keyring', 'backup-signing.pem');
    writeFileSync(path, installationKey.export({ type: 'pkcs8', format: 'pem' }));
    expect((await operator(REPORT, { body })).status).toBe(201);
  });

  it.each<[string, () => Evidence, string]>([
    ['was changed', () => ({ ...evidence({ outcome: 'fail' }), outcome: 'pass' }), 'drill-unsigned'],
    ['is of a signer that nobody named', () => evidence({}, stranger), 'drill-signer-unknown'],
    ['is of another installation', () => evidence({ installation: 'another' }), 'drill-foreign'],
    ['passes for no installation', () => evidence({ installation: null }), 'drill-foreign'],
    ["is of another application's database", () => evidence({ subject: 'app' }), 'drill-foreign'],
    [
      'comes from the future',
      () => evidence({ at: new Date(Date.now() + 3_600_000).toISOString() }),
      'drill-from-future',
    ],
  ])('that %s is refused, and nothing is written', async (_what, body, code) => {
    const before = await service.context.drills.history(100);
    expect(await operator(REPORT, { body: body() })).toMatchObject({ status: 409, body: { code } });
    expect(await service.context.drills.history(100)).toEqual(before);
  });

  it('that takes the id of another one is refused', async () => {
    const body = evidence();
    await operator(REPORT, { body });
    const { signature: _, ...unsigned } = body;
    const other = signEvidence({ ...unsigned, outcome: 'fail' }, drillHost);
    expect(await operator(REPORT, { body: other })).toMatchObject({
      status: 409,
      body: { code: 'drill-conflict' },
    });
  });

  it('of a drill that came to no database is taken where it did not pass', async () => {
    const body = evidence({ installation: null, outcome: 'inconclusive', backupId: null });
    expect((await operator(REPORT, { body })).status).toBe(201);
  });

  it('is taken from owners, operators and pipelines alone', async () => {
    for (const role of ['ci', 'owner'] as const) {
      const client = clientOf(service.url, await service.token({ role }));
      expect((await client(REPORT, { body: evidence() })).status, role).toBe(201);
    }
    for (const role of ['planner', 'auditor', 'agent'] as const) {
      const client = clientOf(service.url, await service.token({ role }));
      expect((await client(REPORT, { body: evidence() })).status, role).toBe(403);
    }
  });

  it('that is malformed is refused with its fields', async () => {
    const body = { ...evidence(), url: 'a\0b', host: '\ud800', more: 1 };
    expect((await operator(REPORT, { body })).status).toBe(400);
  });
});
