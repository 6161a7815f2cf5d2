import type { VerbOption } from '../verb.ts';

/** Options that several verbs on backups have, each with the same meaning. */

export const FROM: VerbOption = {
  flags: '--from <url>',
  description: 'this destination alone (default: the configured ones)',
  once: true,
};

export const NAMED: VerbOption = {
  flags: '--name <name>',
  description: "of another application's database",
};

export const TRUST: VerbOption = {
  flags: '--trust <key>',
  description: 'a signer of backups, by public key or fingerprint, from the recovery kit; may come again',
  list: 'repeat',
};

export const IDENTITY: VerbOption = {
  flags: '--identity <file>',
  description:
    'the age key that opens it (default: the configured one, or that of the keyring); - reads it from standard input',
};

export const APPLY: VerbOption = { flags: '--apply <digest>', description: 'carry out exactly this plan' };

export const CREDENTIALS: VerbOption = {
  flags: '--credentials <file>',
  description: 'other keys for the bucket than those of this machine; only some may delete',
};

/** `what`: of several, the one that is taken. */
export const atTime = (what: string): VerbOption => ({
  flags: '--at <time>',
  description: `${what} then or before: 2026-05-01T12:00:00Z, or a date, its 00:00 UTC`,
});
