import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import { describe, expect, it } from 'vitest';
import { detect } from '../../../service/chat/sensitive/detect.ts';
import { SECRET_KINDS, secretSample } from '../../acceptance/corpus.ts';
import { createRandom } from '../../acceptance/random.ts';

/**
 * A second opinion: secretlint, with the rules that it recommends. The corpus and our rules were written by the same people;
 * what another scanner finds in it, and in the forms that it documents, ours has to find as well.
 */

const PRESET = '@secretlint/secretlint-rule-preset-recommend';

interface Found {
  rule: string;
  start: number;
  end: number;
}

async function secretlint(content: string): Promise<Found[]> {
  const { messages } = await lintSource({
    source: { filePath: '/text.txt', content, ext: '.txt', contentType: 'text' },
    options: { config: { rules: [{ id: PRESET, rule: creator }] }, noPhysicFilePath: true },
  });
  return messages.map(({ ruleId, range: [start, end] }) => ({ rule: ruleId, start, end }));
}

/** Of what secretlint finds in a text, what ours does not touch. */
async function onlyTheirs(text: string): Promise<{ theirs: Found[]; missed: string[] }> {
  const theirs = await secretlint(text);
  const ours = detect(text, ['secrets']);
  const missed = theirs
    .filter(({ start, end }) => !ours.some((hit) => hit.start < end && hit.end > start))
    .map(({ rule, start, end }) => `${rule}: ${text.slice(start, end)}`);
  return { theirs, missed };
}

const ALNUM = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const HEX = '0123456789abcdef';

/** Forms of its rules that the corpus does not have, by the rule that knows them. */
const DOCUMENTED: Record<string, (p: (alphabet: string, count: number) => string) => string> = {
  '1password': (p) =>
    `ops_${Buffer.from(`{"signInAddress":"acme.1password.com","userAuth":"${p(ALNUM, 90)}"}`)
      .toString('base64')
      .replace(/=+$/, '')}`,
  cloudflare: (p) => `cfut_${p(ALNUM, 40)}${p(HEX, 8)}`,
  vercel: (p) => `vcp_${p(ALNUM, 56)}`,
  gitlab: (p) => `glpat-${p(ALNUM, 27)}`,
  stripe: (p) => `rk_test_${p(ALNUM, 99)}`,
  slack: (p) => `xoxb-${p('123456789', 12)}-${p('123456789', 12)}-${p(ALNUM, 24)}`,
  grafana: (p) => `glc_${p(ALNUM, 80)}`,
  'hashicorp-vault': (p) => `hvb.${p(ALNUM, 140)}`,
  openai: (p) => `sk-svcacct-${p(ALNUM, 58)}T3BlbkFJ${p(ALNUM, 58)}`,
  'database-connection-string': (p) => `mongodb+srv://app:${p(ALNUM, 16)}@cluster0.acme.mongodb.net/app`,
  basicauth: (p) => `ftp://deploy:${p(ALNUM, 12)}@files.acme.dev/pub`,
  // One in 64 begins as a path does.
  aws: (p) => `aws_secret_access_key = /${p(ALNUM, 18)}+${p(ALNUM, 20)}`,
  npm: (p) => `//registry.npmjs.org/:_authToken=npm_${p(ALNUM, 36)}`,
};

describe('what secretlint finds', () => {
  it('in the corpus is found by ours as well', { timeout: 60_000 }, async () => {
    const random = createRandom(4711);
    const known = new Set<string>();
    const missed: string[] = [];
    for (const kind of SECRET_KINDS)
      for (let n = 0; n < 10; n += 1) {
        const found = await onlyTheirs(secretSample(kind, 'plain', random).text);
        if (found.theirs.length > 0) known.add(kind);
        missed.push(...found.missed.map((one) => `${kind}: ${one}`));
      }
    expect(missed).toEqual([]);
    // Otherwise it was not asked at all.
    expect(known.size).toBeGreaterThanOrEqual(20);
  });

  it.each(Object.entries(DOCUMENTED))('of the forms of %s is found by ours as well', async (rule, form) => {
    const random = createRandom(rule.length);
    for (let n = 0; n < 10; n += 1) {
      const pick = (alphabet: string, count: number): string =>
        Array.from({ length: count }, () => alphabet[random.below(alphabet.length)]).join('');
      const { theirs, missed } = await onlyTheirs(`It is\n${form(pick)}\n`);
      expect(theirs.map((one) => one.rule)).toContain(`@secretlint/secretlint-rule-${rule}`);
      expect(missed).toEqual([]);
    }
  });
});
