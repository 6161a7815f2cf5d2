import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { plan, planText, type Plan } from './plan.ts';

const S3 = [{ provider: 's3', bucket: 'example-factory-staging', region: 'eu-central-1' }];

/** What is committed of each stack. UPDATE_PLANS=1 writes it anew. */
const PLANS: Record<string, [stack: string, changes: Record<string, unknown>]> = {
  production: ['production', {}],
  'staging-on-the-same-vps': ['staging', { 'build-factory:host': 'production' }],
  'staging-on-its-own': ['staging', { 'build-factory:host': 'own', 'build-factory:backups': S3 }],
  'production-dns-external': ['production', { 'build-factory:dns': 'external' }],
};

const plans: Record<string, Plan> = {};
beforeAll(async () => {
  // One after the other: Pulumi's runtime is one for the process.
  for (const [name, [stack, changes]] of Object.entries(PLANS)) plans[name] = await plan(stack, changes);
});

describe.each(Object.keys(PLANS))('the plan %s', (name) => {
  it('is the one that is committed', () => {
    const path = fileURLToPath(new URL(`plans/${name}.yaml`, import.meta.url));
    const text = planText(plans[name] as Plan);
    if (process.env.UPDATE_PLANS || !existsSync(path)) writeFileSync(path, text);
    expect(text).toBe(readFileSync(path, 'utf8'));
  });
});
