import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { BUILT_IN_PACKS } from '../../service/work-items/packs.ts';
import { openQueue } from '../../service/work-items/source.ts';
import { validateQueue } from '../../service/work-items/validate.ts';

const dir = fileURLToPath(new URL('../../work-items', import.meta.url));

it("this repository's own queue has no problem, not even a warning", () => {
  expect(validateQueue(dir, BUILT_IN_PACKS)).toEqual([]);
});

it.each([
  ['wi-BF-106', 2, 'https://github.com/SingletonTheory/build-factory-bootstrap/pull/122'],
  ['wi-BF-276', 32, 'https://github.com/SingletonTheory/build-factory-bootstrap/pull/323'],
])('%s is done, has %i criteria, and its prompt is its summary', (id, criteria, pr) => {
  const { record, prompt } = openQueue({
    dir,
    clock: systemClock,
    logger: { warn: () => undefined },
  }).readItem(id);
  expect(record).toMatchObject({ collection: 'done', fields: { id, status: 'done', pr } });
  expect(record?.fields.validation).toBe('./scripts/validate-local.ps1');
  expect(record?.fields.criteria).toHaveLength(criteria);
  expect(new Set(record?.fields.criteria).size).toBe(criteria);
  expect(prompt?.excerpt.trim()).toBe(record?.fields.summary);
});
