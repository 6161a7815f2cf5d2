import { FactoryError } from '../../service/errors.ts';
import { blockersText } from './action-text.ts';
import { plain } from './layout.ts';
import { EXIT } from './verb.ts';
import type { ExitCode } from './verb.ts';

/** What was typed or configured is wrong: the same call can never succeed. */
const USAGE = new Set([
  'usage',
  'config-invalid',
  'token-missing',
  'address-unknown',
  'bad-input',
  'host-settings',
  'input-refused',
  'recipients-missing',
  'port-source',
]);

/** Of these, what the help of the verb explains. */
const MISTAKES = new Set(['usage', 'bad-input', 'input-refused']);

/**
 * It could be done, and a rule keeps it from being done as it was asked for; nothing was changed. What is not there, does
 * not answer or cannot be read is none of these: that failed.
 */
const REFUSED = new Set([
  // Something has that place already, and nothing is replaced unasked.
  ...[
    'export-exists',
    'import-conflict',
    'key-exists',
    'keyring-exists',
    'log-key-exists',
    'port-finished',
    'port-target-taken',
    'port-unfinished',
    'restore-target-exists',
  ],
  // Somebody is at work there.
  ...['database-in-use', 'in-flight', 'job-running', 'locked'],
  // It has to be said, or said again, what is meant.
  ...['decision-outdated', 'plan-outdated', 'report-outdated', 'restore-not-paused', 'version-mismatch'],
  ...[
    'keys-known',
    'keys-not-lost',
    'restore-older',
    'restore-unconfirmed',
    'restore-undone',
    'signer-unknown',
  ],
  // It would be too much, or mix what does not belong together.
  ...['idempotency-key-reused', 'log-key-missing', 'not-a-queue', 'queue-foreign', 'restore-foreign'],
  ...['last-owner', 'proof-of-original', 'restore-space'],
  // Others may, or have to act first.
  ...[
    'action-blocked',
    'break-glass-needed',
    'break-glass-off',
    'second-person-needed',
    'quarantine-waits',
    'grant-decided',
    'epoch-fenced',
    'host-lockout',
    'job-elsewhere',
    'job-paused',
    'lease-lost',
    'on-hold',
    'permission-missing',
    'quota-exceeded',
    'sensitive-data-blocked',
  ],
  ...['prune-forbidden', 'prune-needs-key'],
  // A deploy that would mix, or could not go back; nothing was switched.
  ...[
    'deploy-running',
    'environment-missing',
    'environment-mixed',
    'lock-lost',
    'no-way-back',
    'schema-too-new',
  ],
  // A release that nobody could make again, or that would spread what is secret.
  ...['tree-dirty', 'release-secret', 'release-path'],
]);

export function exitOf({ code }: FactoryError): ExitCode {
  if (USAGE.has(code)) return EXIT.usage;
  return REFUSED.has(code) ? EXIT.refused : EXIT.failed;
}

/** `{"error":{…}}`; what an error carries beside its fixed members, e.g. `blockers`, stands with them. `typed`: commands as they are typed here. */
export function failureJson(error: FactoryError, typed = (text: string): string => text): unknown {
  const { message, hint } = error;
  return { error: { ...error.details, ...error.toJSON(), message: typed(message), hint: typed(hint) } };
}

/** What, why and what next, without a stack. `verb` is what ran; a mistake in the call ends with a `Try:` line. */
export function failureText(verb: string, error: FactoryError): string {
  const lines = [`factory${verb && ` ${verb}`}: ${error.message}`];
  const blockers = blockersText(error.details['blockers']);
  if (blockers !== '') lines.push(blockers);
  else if (error.code !== 'usage') lines.push(`  ${error.hint}`);
  if (MISTAKES.has(error.code)) lines.push(tryLine(verb));
  return plain(lines.join('\n'));
}

export function tryLine(verb: string): string {
  return `Try: npx factory${verb && ` ${verb}`} --help`;
}

/** A plan that is not the one of now; `verb` shows that. */
export function planOutdated(op: string, target: string, verb: string): FactoryError {
  return new FactoryError({
    ...{ code: 'plan-outdated', op, target },
    message: 'This is not the plan of now: something came, went or changed since it was shown.',
    hint: `Look at the new plan: \`npx factory ${verb}\`. Nothing was changed.`,
  });
}

/** A mistake in what was typed. */
export function usage(verb: string, message: string, cause?: unknown): FactoryError {
  return new FactoryError({
    code: 'usage',
    op: verb ? `factory ${verb}` : 'factory',
    message,
    hint: tryLine(verb),
    cause,
  });
}
