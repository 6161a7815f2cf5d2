import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { readDeploys } from '../../service/ops/deploy-log.ts';
import { deployed } from '../helpers/operations.ts';

const NOW = Date.parse('2026-05-01T12:00:00.000Z');
const folder = (): string => mkdtempSync(join(inject('scratch'), 'deploys-'));

it('is empty where nothing deploys, or nothing was deployed yet', async () => {
  expect(await readDeploys(null, 5)).toEqual({ log: 'none', deploys: [] });
  expect(await readDeploys(join(folder(), 'deploys.jsonl'), 5)).toEqual({ log: 'none', deploys: [] });
});

it('says that it cannot be read, and does not fail', async () => {
  const dir = folder();
  mkdirSync(join(dir, 'deploys.jsonl'));
  expect(await readDeploys(join(dir, 'deploys.jsonl'), 5)).toEqual({ log: 'unreadable', deploys: [] });
});

it('has the newest of a long log, each once, and passes over what is no deploy', async () => {
  const path = join(folder(), 'deploys.jsonl');
  const all = Array.from({ length: 300 }, (_, n) => deployed(NOW, (300 - n) * 60_000));
  const lines = all.flatMap((one) => [
    JSON.stringify({ ...one, outcome: null, endedAt: null, steps: [] }),
    JSON.stringify(one),
  ]);
  writeFileSync(path, `${lines.join('\n')}\n{"id":"of a later release","more":1}\n{"id":"cut o`);
  chmodSync(path, 0o640);
  const { log, deploys } = await readDeploys(path, 3);
  expect([log, deploys]).toEqual(['read', all.slice(-3).reverse()]);
});
