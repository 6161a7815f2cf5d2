import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createDatabase } from '../helpers/postgres.ts';
import { firstMissing, referenceLines, textOf } from '../http/web/text.ts';
import { callerOf, eventually, itemPath, newToken, signIn } from './client.ts';
import type { Caller } from './client.ts';
import { copyOwnQueue, itemFiles, recordText } from './queue.ts';
import { newPlace, serve } from './service.ts';
import type { Service } from './service.ts';

/** A queue that shares nothing with the reference pages. */
const OTHER = {
  ...itemFiles('wi-ZÄ-1'.normalize('NFC').replace('Ä', 'AE'), 'backlog', {
    title: 'Überprüfung der 数据 🌳 <b>&',
    pr: null,
  }),
  ...itemFiles('wi-QX-22', 'ready', { branch: null, pr: null }),
  ...itemFiles('wi-QX-23', 'executing'),
  ...itemFiles('wi-QX-24', 'review', { pr: 'https://forge.example/a/b/pull/9' }),
  ...itemFiles('wi-QX-25', 'cancelled'),
  // Without a prompt.
  'done/wi-QX-26.md': recordText(
    { id: 'wi-QX-26', title: 'No prompt, no pull request', status: 'done', workType: 'research' },
    'Done.',
  ),
};

const SECTIONS = [
  ...[
    'Execution Context',
    'ID',
    'Branch',
    'Validation',
    'PR',
    'Lifecycle Metadata',
    'Lane',
    'Work type',
    'Source',
    'Status',
    'State',
  ],
  ...['Done criteria', 'Queue Truth', 'Reconciliation Guidance', 'Prompt Context', 'Available Actions'],
];

describe.each(['sqlite', 'postgres'] as const)('served from %s', (engine) => {
  const services: Service[] = [];
  afterAll(async () => {
    for (const service of services) await service.stop();
  });

  async function start(
    files: Record<string, string> | null,
  ): Promise<{ service: Service; cookie: string; owner: Caller }> {
    const databaseUrl = engine === 'postgres' ? await createDatabase() : undefined;
    const place = newPlace({ below: inject('scratch'), databaseUrl, ...(files === null ? {} : { files }) });
    if (files === null) copyOwnQueue(place);
    const service = await serve(place);
    services.push(service);
    const owner = callerOf(() => service.url, (await newToken(place, 'owner')).token);
    return { service, owner, cookie: await signIn(service.loginLink) };
  }

  describe('the reference items', () => {
    let running: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => void (running = await start(null)));

    it.each(['wi-BF-106', 'wi-BF-276'])('%s: every line of its page, in order', async (id) => {
      const { service, owner, cookie } = running;
      await eventually(
        () => owner.get(itemPath(id)),
        ({ status }) => status === 200,
      );
      const page = await callerOf(() => service.url).get(`/items/${id}`, { cookie });
      expect(page.status).toBe(200);
      const wanted = referenceLines(id);
      expect(wanted.length).toBeGreaterThan(60);
      expect(firstMissing(textOf(page.text), wanted)).toBeNull();
    });
  });

  describe('another queue', () => {
    let running: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      running = await start(OTHER);
      await eventually(
        () => running.owner.get('/api/control-plane/items'),
        ({ body }) => body.items.length === 6,
      );
    });
    const page = async (id: string): Promise<string[]> =>
      textOf(
        (await callerOf(() => running.service.url).get(`/items/${id}`, { cookie: running.cookie })).text,
      );

    it.each([
      ['wi-ZAE-1', 'Backlog', 'Überprüfung der 数据 🌳 <b>&'],
      ['wi-QX-22', 'Ready', 'Title of wi-QX-22'],
      ['wi-QX-23', 'Executing', 'Title of wi-QX-23'],
      ['wi-QX-24', 'Review', 'Title of wi-QX-24'],
      ['wi-QX-25', 'Cancelled', 'Title of wi-QX-25'],
      ['wi-QX-26', 'Done', 'No prompt, no pull request'],
    ])('%s has every section, from its own data', async (id, lane, title) => {
      expect(firstMissing(await page(id), [`${lane} Work Item`, title, ...SECTIONS])).toBeNull();
    });

    it.each(['wi-ZAE-1', 'wi-QX-22', 'wi-QX-23', 'wi-QX-24', 'wi-QX-25', 'wi-QX-26'])(
      '%s: each blocked action names the lane or its reason, its label, and the way out',
      async (id) => {
        const lines = await page(id);
        const { lane } = (await running.owner.get(itemPath(id))).body as { lane: string };
        const { actions } = (await running.owner.get(`${itemPath(id)}/actions`)).body as {
          actions: Action[];
        };
        expect(actions.slice(0, 4).map(({ identity }) => identity)).toEqual(FOUR);
        for (const { label, enabled, gates, identity } of actions) {
          const blocking = gates.filter(({ verdict }) => verdict === 'blocked' || verdict === 'unknown');
          expect(enabled, identity).toBe(blocking.length === 0);
          expect(
            lines.some((line) => line.startsWith(label)),
            label,
          ).toBe(true);
          for (const gate of blocking) {
            const { cause, policyContext, nextStep, safeRetry } = gate.recovery;
            for (const text of [cause, policyContext, nextStep, safeRetry.text]) {
              expect(text).toMatch(/\S/);
              // What stands in backticks is shown as code.
              expect(lines).toContain(text.replaceAll('`', ''));
            }
            if (gate.gate !== 'lane-transition') continue;
            expect(cause.toLowerCase()).toContain(lane);
            expect(`${cause} ${policyContext} ${safeRetry.text}`).toContain(label);
          }
        }
      },
    );

    it('says what is missing where prompt and pull request are', async () => {
      const { actions } = (await running.owner.get(`${itemPath('wi-QX-26')}/actions`)).body as {
        actions: Action[];
      };
      const causes = actions.flatMap(({ gates }) => gates.flatMap(({ recovery }) => recovery?.cause ?? []));
      expect(causes).toContain('No pull request is linked.');
      expect(causes).toContainEqual(expect.stringMatching(/^Prompt .*wi-QX-26\.prompt\.md is missing/));
      expect((await running.owner.get(itemPath('wi-QX-26'))).body.prompt).toMatchObject({ missing: true });
    });
  });
});

const FOUR = ['start-execution', 'request-review', 'prepare-release', 'record-history'];

interface Action {
  identity: string;
  label: string;
  enabled: boolean;
  gates: {
    gate: string;
    verdict: string;
    recovery: { cause: string; policyContext: string; nextStep: string; safeRetry: { text: string } };
  }[];
}
