import { changeText } from '../../service/work-items/change-words.ts';
import type { ActionResult, ActionsDocument } from '../../service/work-items/documents.ts';
import type { ActionReport, GateResult } from '../../service/work-items/types.ts';
import { fields, wrap } from './layout.ts';

/** Actions, plans and blockers as text, in the words of the item page. */

export function actionsText(id: string, { actions }: ActionsDocument): string {
  return ['Available Actions', ...actions.map((action) => actionText(id, action))].join('\n\n');
}

function actionText(id: string, action: ActionReport): string {
  const { identity, label, description, enabled, permission, gates } = action;
  const lines = [`- ${label}: ${enabled ? 'Enabled' : 'Blocked'}`, `  ${description}`];
  for (const gate of gates.filter(isBlocking)) lines.push('  Recovery guidance', recoveryText(gate, '    '));
  lines.push(
    `  identity: ${identity}`,
    `  permission: ${permission.name} (${permission.granted ? 'granted' : 'missing'})`,
    ...gates.map((gate) => wrap(`policy gate ${gateText(gate)}`, '  ')),
    `  POST /api/control-plane/items/${id}/actions/${identity}`,
  );
  return lines.join('\n');
}

function isBlocking({ verdict }: GateResult): boolean {
  return verdict === 'blocked' || verdict === 'unknown';
}

function gateText({ gate, verdict, reason }: GateResult): string {
  return `${gate}: ${verdict}${verdict === 'pass' || reason === '' ? '' : ` (${reason})`}`;
}

function recoveryText({ recovery, reason }: GateResult, indent: string): string {
  if (recovery === null) return wrap(reason, indent);
  const { cause, policyContext, nextStep, safeRetry } = recovery;
  return fields(
    [
      ['Cause', cause],
      ['Policy context', policyContext],
      ['Next step', nextStep],
      ['Safe retry', safeRetry.text],
    ],
    indent,
  );
}

/** `blockers` of a refused action with their four texts each; empty where there are none. */
export function blockersText(blockers: unknown): string {
  if (!Array.isArray(blockers)) return '';
  const gates = blockers as GateResult[];
  return gates.map((gate) => `- ${gate.gate}: ${gate.verdict}\n${recoveryText(gate, '    ')}`).join('\n');
}

/** What an action did, or would do; `hasInput`: applying the plan takes the input again. */
export function resultText(result: ActionResult, hasInput: boolean): string {
  const { dryRun, identity, item, lane, effects, diff, gates, decisionId } = result;
  const warnings = gates.filter(({ verdict }) => verdict === 'warn' || verdict === 'overridden');
  const further = diff.filter(({ field }) => field !== 'lane');
  const facts = fields([
    ['Lane', lane.from === lane.to ? lane.to : `${lane.from} -> ${lane.to}`],
    ...effects.map(({ text }): [string, string] => ['Effect', text]),
    ...further.map(({ field, before, after }): [string, string] => [field, changeText(field, before, after)]),
    ...warnings.map((gate): [string, string] => ['Note', gateText(gate)]),
    ['Decision', decisionId],
    ['Version', item.version],
  ]);
  if (!dryRun) return `Done: ${identity} of ${item.id}\n${facts}`;
  return `Plan: ${identity} of ${item.id}; nothing was changed\n${facts}\nApply it with --decision ${decisionId}${hasInput ? ' and the same --input' : ''}`;
}
