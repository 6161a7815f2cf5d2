import { FactoryError } from '../errors.ts';
import { isRole, ROLES } from './roles.ts';

/** Input that people, tokens and links share. Each throws `bad-input` with the field. */

/** Names are shown in lists and kept as given: one line, 1 to 200 characters. */
export function checkName(name: string, op: string): string {
  const trimmed = name.trim();

  if (
    trimmed.length >= 1 &&
    trimmed.length <= 200 &&
    !/[\u0000-\u001f\u007f]/.test(trimmed) &&
    trimmed.isWellFormed()
  ) {
    return trimmed;
  }
  throw badInput(op, 'name', 'A name is one line of 1 to 200 characters.');
}

/** Whether people would take two names for one. */
export function isSameName(one: string, other: string): boolean {
  const plain = (text: string): string => text.trim().normalize('NFKC').toLowerCase();
  return plain(one) === plain(other);
}

export function checkRoles(roles: string[], op: string): string[] {
  const unknown = roles.filter((role) => !isRole(role));
  if (roles.length > 0 && unknown.length === 0) return [...new Set(roles)];
  const named = unknown.length > 0 ? `${unknown.join(', ')} is no role` : 'No role was given';
  throw badInput(op, 'role', `${named}; roles are ${ROLES.join(', ')}.`);
}

export function badInput(op: string, path: string, message: string): FactoryError {
  return new FactoryError({
    code: 'bad-input',
    op,
    target: path,
    message,
    hint: `Correct ${path} and send it again.`,
    details: { problems: [{ path, message }] },
  });
}
