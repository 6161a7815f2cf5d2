import type { Request, Response } from 'express';
import { FactoryError } from '../../../errors.ts';
import type { Principal } from '../../../work-items/types.ts';
import type { Assets } from '../assets.ts';
import type { WebContext } from '../ports.ts';
import type { FrameView, Page } from '../views/frame.ts';
import { framed } from '../views/frame.ts';

/** What every page's handlers share: the context, the assets, and how a page is sent. */
export interface Pages {
  context: WebContext;
  view: (locals: Response['locals']) => FrameView;
  send: (response: Response, page: Page, status?: number) => void;
  /** The principal, if it holds the permission; else the refusal is recorded and `permission-missing` thrown. */
  permitted: (response: Response, permission: string, op: string) => Promise<Principal>;
}

export function createPages(context: WebContext, assets: Pick<Assets, 'url'>): Pages {
  const view = (locals: Response['locals']): FrameView => ({
    asset: assets.url,
    now: context.clock.now(),
    csrf: typeof locals.csrf === 'string' ? locals.csrf : '',
    facts: context.frame(),
    principal: (locals.principal as Principal | null | undefined) ?? null,
  });
  return {
    context,
    view,
    send(response, page, status = 200) {
      response
        .status(status)
        .set('Cache-Control', 'no-store')
        .type('html')
        .send(framed(view(response.locals), page));
    },
    async permitted(response, permission, op) {
      const principal = principalOf(response);
      if (principal.permissions.has(permission)) return principal;
      await context.refuse({
        code: 'permission-missing',
        action: op.replaceAll(' ', '-'),
        actor: { kind: principal.kind, id: principal.id },
      });
      throw new FactoryError({
        code: 'permission-missing',
        op,
        message: `This takes the permission ${permission}, which you do not have.`,
        hint: 'Ask an owner, on the People page, for a role that has it.',
        details: { permission },
      });
    },
  };
}

/** Who asks. The routers stand behind authentication, so there is somebody. */
export function principalOf(response: Response): Principal {
  const principal = response.locals.principal as Principal | null | undefined;
  if (principal) return principal;
  throw new FactoryError({
    code: 'unauthenticated',
    op: 'open page',
    message: 'Nobody is signed in.',
    hint: 'Sign in with a one-time link.',
  });
}

/** Names of people and of their tokens, by id. */
export async function namesOf({ people }: Pick<WebContext, 'people'>): Promise<Map<string, string>> {
  const everybody = await people.list();
  return new Map(
    everybody.flatMap((person) => [
      [person.id, person.name] as const,
      ...person.tokens.map((token) => [token.id, `${token.name} (${person.name})`] as const),
    ]),
  );
}

/** The text of a query parameter or form field; of a repeated one the first. */
export function textOf(value: unknown): string {
  const first = Array.isArray(value) ? (value[0] as unknown) : value;
  return typeof first === 'string' ? first.trim() : '';
}

/** All texts of a repeated field. */
export function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(
    (one): one is string => typeof one === 'string' && one !== '',
  );
}

/** A urlencoded form as texts. */
export function formOf(request: Request): Record<string, string> {
  const body = request.body as Record<string, unknown> | undefined;
  return Object.fromEntries(Object.keys(body ?? {}).map((name) => [name, textOf(body?.[name])]));
}

/** The problems of a `bad-input` error, each with its field. */
export function inputProblems(error: FactoryError): { path: string; message: string }[] {
  const { problems } = error.details;
  if (!Array.isArray(problems) || problems.length === 0) return [{ path: '', message: error.message }];
  return problems.map((problem: { path?: unknown; message?: unknown }) => ({
    path:
      typeof problem.path === 'string'
        ? problem.path
        : Array.isArray(problem.path)
          ? problem.path.join('.')
          : '',
    message: typeof problem.message === 'string' ? problem.message : error.message,
  }));
}

export function isCode(error: unknown, code: string): error is FactoryError {
  return error instanceof FactoryError && error.code === code;
}
