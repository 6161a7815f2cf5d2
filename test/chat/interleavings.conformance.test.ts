import { expect, inject, it } from 'vitest';
import { governance } from '../acceptance/governance.ts';
import { createRandom } from '../acceptance/random.ts';
import { serverUrl } from '../helpers/postgres.ts';

/** A sample; `npm run campaign -- governance` takes 10,000 steps, with other seeds. */
it(
  'what is held is never lost and what went never returns, in 300 random steps',
  { timeout: 180_000 },
  async () => {
    const engine = inject('engine');
    const { failures, figures } = await governance({
      ...{
        engine,
        postgresUrl: engine === 'postgres' ? await serverUrl() : undefined,
        below: inject('scratch'),
      },
      ...{ seed: 11, count: 300, random: createRandom(11), say: () => undefined },
    });
    expect(failures).toEqual([]);
    for (const ran of [
      'gone',
      'restore',
      'stop',
      'purges',
      'erasure done',
      'erasure partial-held',
      'erasure planned',
    ])
      expect(figures[ran], ran).toBeGreaterThan(0);
  },
);
