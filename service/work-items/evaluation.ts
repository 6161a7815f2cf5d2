import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { Decided } from './decide.ts';
import type { ActionReport, GateResult, Policy } from './types.ts';

/** Grows when a rule changes its meaning, so that an old decision says by which rules it was made. */
export const RULE_VERSION = '2';

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** One policy object gives one digest; policies are replaced, never changed in place. */
const policyDigests = new WeakMap<Policy, string>();

export function policyDigest(policy: Policy): string {
  let digest = policyDigests.get(policy);
  if (!digest) policyDigests.set(policy, (digest = digestOf(canonicalJson(policy))));
  return digest;
}

/** What a decision rests on: verdicts and the values of facts, without the times at which they were read. */
export function factsDigest(report: ActionReport): string {
  return digestOf(canonicalJson(report.gates.map(basis)));
}

/** What would be written: a plan is applied only if it still comes to the same. A note may be added while confirming. */
export function decidedDigest({ lane, events }: Decided): string {
  return digestOf(
    JSON.stringify({ lane, events }, (key, value: unknown) => (key === 'note' ? undefined : value)),
  );
}

/** Gates whose verdict or facts differ between a plan and now. */
export function changedGates(
  planned: GateResult[],
  now: GateResult[],
): { gate: string; before: unknown; after: unknown }[] {
  const names = new Set([...planned, ...now].map((gate) => gate.gate));
  return [...names].flatMap((gate) => {
    const [before, after] = [planned, now].map((gates) => gates.find((one) => one.gate === gate));
    if (before && after && canonicalJson(basis(before)) === canonicalJson(basis(after))) return [];
    return [{ gate, before: shown(before), after: shown(after) }];
  });
}

function basis({ gate, code, verdict, facts }: GateResult): unknown {
  return {
    gate,
    code,
    verdict,
    facts: facts.map(({ source, path, value, revision }) => ({
      source,
      path,
      value: value ?? null,
      revision,
    })),
  };
}

function shown(gate: GateResult | undefined): unknown {
  return gate ? { verdict: gate.verdict, reason: gate.reason, facts: gate.facts } : null;
}
