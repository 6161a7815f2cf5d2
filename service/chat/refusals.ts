import { FactoryError } from '../errors.ts';
import { USE } from './access.ts';

/** Refusals that several parts of this domain give. What is not there and what is hidden answer the same. */

export function noSession(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find session', target },
    message: `There is no session ${target}, or it is not yours.`,
    hint: 'GET /api/sessions lists yours.',
  });
}

export function noMessage(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find message', target },
    message: `There is no message ${target} in this session.`,
    hint: 'GET /api/sessions/{id}/messages lists them.',
  });
}

/** For ever: a late write must not bring back what was deleted. */
export function gone(what: 'session' | 'message', target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'gone', op: `use ${what}`, target },
    message: `The ${what} ${target} was deleted.`,
    hint: `Nothing can be read from it or written to it any more; begin another ${what}.`,
  });
}

export function keyReused(target: string, what: 'message' | 'session' = 'message'): FactoryError {
  const [op, where] = what === 'message' ? ['append message', ' in this session'] : ['begin session', ''];
  return new FactoryError({
    ...{ code: 'idempotency-key-reused', op, target },
    message: `This idempotency key was used${where} with another body.`,
    hint: `Send the same body again, or take a new key for a new ${what}.`,
  });
}

export function permissionRefused(permission: string): FactoryError {
  return new FactoryError({
    ...{ code: 'permission-missing', op: 'check permission', target: permission },
    message: `This takes the permission ${permission}, which you do not have.`,
    hint: 'Ask an owner for a role that has it, or use another token.',
    details: { permission },
  });
}

/** For roles that see that sessions are there, and nothing of what they say: no secret is told by that. */
export function contentWithheld(op: string): FactoryError {
  return new FactoryError({
    ...{ code: 'permission-missing', op, target: USE },
    message:
      'What is said in sessions is not for your role: it sees that they are there, whose they are and how large.',
    hint: 'Owners, planners and reviewers read them: ask an owner for such a role.',
    details: { permission: USE },
  });
}

export function breakGlassNeeded(op: string): FactoryError {
  return new FactoryError({
    ...{ code: 'break-glass-needed', op },
    message: 'Sessions of others are read by break-glass only, and this holds what they say.',
    hint: 'Ask for break-glass with a reason: POST /api/governance/grants.',
  });
}
