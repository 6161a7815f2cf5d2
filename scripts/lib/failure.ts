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
  'input-refused',
  'recipients-missing',
]);

/** Of these, what the help of the verb explains. */
const MISTAKES = new Set(['usage', 'bad-input', 'input-refused']);

/** A rule stood in the way, so that nothing was changed. */
const REFUSED = new Set([
  'action-blocked',
  'decision-outdated',
  'epoch-fenced',
  'idempotency-key-reused',
  'job-elsewhere',
  'job-paused',
  'job-running',
  'last-owner',
  'lease-lost',
  'not-a-queue',
  'permission-missing',
  'plan-outdated',
  'proof-of-original',
  'prune-forbidden',
  'prune-needs-key',
  'queue-foreign',
  'report-outdated',
  'restore-older',
  'restore-unconfirmed',
  'restore-undone',
  'signer-unknown',
  'version-mismatch',
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
