import { asFactoryError } from '../../../errors.ts';
import type { Principal } from '../../../work-items/types.ts';
import { endOf, type GrantKind } from '../grant-times.ts';
import type { WebContext } from '../ports.ts';
import type { GrantForms } from '../views/grant-forms.ts';
import { inputProblems, isCode } from './render.ts';

/** What the forms of grants send: first for a plan, then to be done. */

type Input = Record<string, string>;

export type Answered =
  | { done: 'made' | 'asked' }
  | Pick<GrantForms, 'plan'>
  | Pick<GrantForms, 'form'>
  | { refusal: { title: string; text: string } };

export const roleCanBeLetIn = (roles: readonly string[]): boolean =>
  roles.some((role) => ['owner', 'planner', 'reviewer'].includes(role));

export async function answerGrant(
  { clock, governance }: Pick<WebContext, 'clock' | 'governance'>,
  principal: Principal,
  input: Input,
): Promise<Answered> {
  const { grants, readGrant } = governance;
  const kind: GrantKind = input['kind'] === 'break-glass' ? 'break-glass' : 'session';
  const wrong = (problems: { path: string; message: string }[]): Answered => ({
    form: { kind, input, problems: problems.map(placed) },
  });
  const terms = await grants.terms();
  const expiresAt = input['expiresAt'] ?? endOf(kind, input['lasts'] ?? '', terms, clock.now());
  if (expiresAt === null) return wrong([{ path: 'lasts', message: 'Must be one of these.' }]);
  try {
    const { sessionId, grantee, reason = '' } = input;
    const given = { ...(sessionId ? { sessionId } : {}), ...(grantee ? { grantee } : {}) };
    const wanted = readGrant({ kind, ...given, expiresAt, reason });
    if (input['step'] !== 'apply') return { plan: { input, plan: await grants.plan(principal, wanted) } };
    const { state } = await grants.make(principal, wanted);
    return { done: kind === 'session' && state === 'active' ? 'made' : 'asked' };
  } catch (error) {
    if (isCode(error, 'bad-input') || isCode(error, 'input-refused')) return wrong(inputProblems(error));
    if (isCode(error, 'not-found') || isCode(error, 'gone'))
      return wrong([{ path: 'sessionId', message: error.message }]);
    const { code, message: title } = asFactoryError(error, 'let somebody in');
    if (code !== 'break-glass-off') throw error;
    return { refusal: { title, text: 'Read the session itself.' } };
  }
}

const placed = ({ path, message }: { path: string; message: string }) => ({
  path: path === 'expiresAt' ? 'lasts' : path,
  message,
});

/** Whom a form offers: those whose role reads sessions, and not whoever asks. */
export async function offered(
  { people }: Pick<WebContext, 'people'>,
  { personId }: Pick<Principal, 'personId'>,
): Promise<GrantForms['people']> {
  return (await people.list()).filter(
    ({ id, status, roles }) => status !== 'removed' && id !== personId && roleCanBeLetIn(roles),
  );
}

/** What is said on the page where a decision is refused; null: it broke, or nothing is there. */
export function decisionRefusal(error: unknown): { title: string; text: string } | null {
  const { code, message: title } = asFactoryError(error, 'decide on grant');
  if (code === 'second-person-needed') return { title, text: 'Ask another owner.' };
  if (code === 'grant-decided') return { title, text: 'Somebody decided before, or its time is over.' };
  return null;
}
