import { describe, expect, it } from 'vitest';
import type { ActionIdentity, Facts, Principal } from '../../service/work-items/types.ts';
import { BEN, factsOf, gate, handoffOf, itemOf, queueOf, told } from './gates.fixtures.ts';

describe('context-visibility and prompt-context', () => {
  const item = itemOf('ready', { handoff: handoffOf('queued') });
  const path = 'prompts/wi-BF-1.prompt.md';
  const noPrompt = factsOf(item, { queue: queueOf(item, { prompt: null }) });
  const changed = { path, revision: 'prompt-2', excerpt: 'Other.', empty: false };

  it('passes for those who may read both', () => {
    expect(told(gate('context-visibility', 'record-history', factsOf(item)))).toEqual(['pass', 'ok']);
  });

  it.each<[string, Facts, Principal]>([
    ['a missing prompt', noPrompt, BEN],
    ['a hidden one', factsOf(item), { ...BEN, permissions: new Set() }],
    ['both', noPrompt, { ...BEN, permissions: new Set() }],
  ])('blocks on %s', (_name, facts, principal) => {
    const missing = facts === noPrompt;
    expect(told(gate('context-visibility', 'record-history', facts, { principal }))).toEqual([
      'blocked',
      missing ? 'prompt-missing' : 'prompt-hidden',
      `Prompt ${path} is missing or hidden from you.`,
      'History keeps only context that the recorder may see.',
      `Restore ${path}, or ask an owner for access to it.`,
      `Retry Record history on this ready item once ${path} exists and you may read it.`,
      'after-change',
    ]);
  });

  it.each<[string, Facts, ActionIdentity, string, string, string]>([
    ['present', factsOf(item), 'claim', 'pass', 'ok', `Prompt ${path} is present at prompt-1.`],
    ['missing', noPrompt, 'claim', 'blocked', 'prompt-missing', `Prompt ${path} is missing.`],
    [
      'never read',
      factsOf(item, { queue: null }),
      'claim',
      'unknown',
      'prompt-unread',
      `Prompt ${path} was never read.`,
    ],
    [
      'empty',
      factsOf(item, { queue: queueOf(item, { prompt: { ...changed, empty: true } }) }),
      'start-execution',
      'blocked',
      'prompt-empty',
      `Prompt ${path} is empty.`,
    ],
    [
      'changed since it was pinned',
      factsOf(item, { queue: queueOf(item, { prompt: changed }) }),
      'claim',
      'blocked',
      'prompt-changed',
      `Prompt ${path} changed since prompt-1.`,
    ],
    [
      'changed before a new start',
      factsOf(item, { queue: queueOf(item, { prompt: changed }) }),
      'start-execution',
      'pass',
      'ok',
      `Prompt ${path} is present at prompt-2.`,
    ],
  ])('prompt %s', (_name, facts, action, verdict, code, reason) => {
    const result = gate('prompt-context', action, facts);
    expect(result).toMatchObject({ verdict, code, reason });
    if (result.recovery) expect(result.recovery.policyContext).toBe('Executors get a pinned prompt.');
  });

  it('plans again by a new start in ready, by a release while executing', () => {
    const queue = queueOf(item, { prompt: changed });
    const executing = itemOf('executing', { handoff: handoffOf('queued') });
    expect(gate('prompt-context', 'claim', factsOf(item, { queue })).unblock[0]?.action).toBe(
      'start-execution',
    );
    expect(gate('prompt-context', 'claim', factsOf(executing, { queue })).unblock[0]?.action).toBe(
      'release-handoff',
    );
  });
});
