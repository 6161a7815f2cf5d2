import type { ActionIdentity } from '../../service/work-items/types.ts';
import { usage } from './failure.ts';

/** What the actions take that cannot do without input; every other action takes at most a `note`. */
export const INPUT_HELP: Partial<
  Record<ActionIdentity, { fields: string; example: Record<string, unknown> }>
> = {
  'submit-evidence': {
    fields:
      'kind (criterion, validation or attestation) and result (passed or failed); with kind criterion also ' +
      'criterion (its number, or its text); and, where you have them, commit, scriptDigest, url, note',
    example: { kind: 'criterion', criterion: 1, result: 'passed' },
  },
  'waive-criterion': {
    fields: 'criterion (its number, or its text) and reason',
    example: { criterion: 1, reason: 'Measured by the customer.' },
  },
  'override-gate': {
    fields: 'gate, action, reason, and until (a time with its zone)',
    example: {
      gate: 'window',
      action: 'complete',
      reason: 'The release train leaves today.',
      until: '2099-12-31T23:59:59Z',
    },
  },
};

/** Asks for the input of an action that needs one. Errors: `usage`. */
export function assertInput(id: string, identity: string, input: unknown): void {
  const help = Object.entries(INPUT_HELP).find(([action]) => action === identity)?.[1];
  if (input !== undefined || help === undefined) return;
  const call = `npx factory items act ${id} ${identity} --input '${JSON.stringify(help.example)}'`;
  throw usage('items act', `${identity} needs --input with ${help.fields}. For example:\n  ${call}`);
}
