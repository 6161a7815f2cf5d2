import express, { type Response } from 'express';
import type { PolicyDocument, PolicyParts } from '../../../chat/policies.ts';
import { SESSION_CLASS } from '../../../chat/shapes.ts';
import { FactoryError } from '../../../errors.ts';
import { classOf, fieldsOfClass, fieldsOfGeneral, generalOf, type Fields } from '../policy-form.ts';
import { differences } from '../policy-words.ts';
import { OFF } from '../views/break-glass-off.ts';
import { classPage, classUrl, confirmPage, DONE, policiesPage, URL } from '../views/policies.ts';
import type { ConfirmPage, PoliciesPage } from '../views/policies.ts';
import type { PolicyForm } from '../views/policy-fields.ts';
import { formOf, inputProblems, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const PAGE = 10;

/** A change that a form asks for. */
interface Asked {
  /** The document that it makes of the present one, not known to be right. */
  make: (present: PolicyDocument) => unknown;
  input: Fields;
  action: ConfirmPage['action'];
  /** Shows the form again, with what is wrong with it. */
  again: (present: PolicyDocument, form: PolicyForm) => Promise<void>;
  /** Where the fields lie in the document. */
  at: string;
}

/** `/governance/policies`: each policy as a field; a change is shown with what comes of it before it is made. */
export function policyPages({ context, view, send, permitted }: Pages): express.Router {
  const { policies, grants } = context.governance;
  const router = express.Router();
  const mayManage = (response: Response) => principalOf(response).permissions.has(MANAGE);

  async function show(
    response: Response,
    shown: Partial<PoliciesPage> = {},
    { cursor = '', status = 200 } = {},
  ): Promise<void> {
    const [document, history, names] = await Promise.all([
      policies.all(),
      policies.history({ limit: PAGE, ...(cursor === '' ? {} : { cursor }) }),
      namesOf(context),
    ]);
    const body = policiesPage(view(response.locals), {
      ...{ document, ...history, names, mayManage: mayManage(response) },
      form: { input: fieldsOfGeneral(document.general), problems: [] },
      ...{ naming: null, done: null, preset: (await grants.terms()).preset, ...shown },
    });
    send(response, { title: 'Policies', place: 'governance', body }, status);
  }

  function showClass(response: Response, name: string, document: PolicyDocument, form?: PolicyForm): void {
    const own = Object.hasOwn(document.classes, name) ? document.classes[name] : undefined;
    const policy = own ?? document.classes['general']!;
    const given = form ?? { input: fieldsOfClass(policy), problems: [] };
    const body = classPage(view(response.locals), {
      ...{ name, document, mayManage: mayManage(response), form: given },
    });
    send(response, { title: `Policy of class ${name}`, place: 'governance', body }, statusOf(given));
  }

  const change = changer({ context, view, send, permitted });

  router.get(URL, (request, response) =>
    show(
      response,
      { done: doneOf(textOf(request.query['done'])) },
      { cursor: textOf(request.query['cursor']) },
    ),
  );

  router.post(URL, (request, response) =>
    change(response, {
      make: ({ classes }) => ({ classes, general: generalOf(formOf(request)) }),
      input: formOf(request),
      action: { url: URL, label: 'Change policies', back: URL },
      again: (_present, form) => show(response, { form }, { status: statusOf(form) }),
      at: 'general.',
    }),
  );

  router.post(`${OFF}/confirm`, (request, response) =>
    change(response, {
      make: ({ general, classes }) => ({ classes, general: { ...general, breakGlass: false } }),
      input: formOf(request),
      action: { url: `${OFF}/confirm`, label: 'Change policies', back: URL },
      again: () => show(response),
      at: 'general.',
    }),
  );

  router.post(`${OFF}/take-back`, async (_request, response) => {
    await policies.takeBack(await permitted(response, MANAGE, 'keep break-glass'), null);
    response.redirect(303, `${URL}?done=kept#result`);
  });

  router.post(`${URL}/classes`, async (request, response) => {
    await permitted(response, MANAGE, 'change policies');
    const { name = '' } = formOf(request);
    if (isClass(name)) return response.redirect(303, classUrl(name));
    const problem = 'A letter, then up to 63 letters, digits, dots, dashes or underlines.';
    await show(response, { naming: { name, problem } }, { status: 400 });
  });

  router.get(`${URL}/classes/:name`, async (request, response) => {
    showClass(response, classNamed(request.params.name), await policies.all());
  });

  router.post(`${URL}/classes/:name`, (request, response) => {
    const name = classNamed(request.params.name);
    return change(response, {
      make: ({ general, classes }) => ({
        general,
        classes: { ...classes, [name]: classOf(formOf(request)) },
      }),
      input: formOf(request),
      action: { url: classUrl(name), label: 'Change policies', back: classUrl(name) },
      again: async (present, form) => showClass(response, name, present, form),
      at: `classes.${name}.`,
    });
  });

  router.post(`${URL}/classes/:name/remove`, (request, response) => {
    const name = classNamed(request.params.name);
    return change(response, {
      make: ({ general, classes }) => ({
        ...{ general, classes: Object.fromEntries(Object.entries(classes).filter(([one]) => one !== name)) },
      }),
      input: formOf(request),
      action: { url: `${classUrl(name)}/remove`, label: 'Remove policy', back: classUrl(name) },
      again: async (present, form) => showClass(response, name, present, form),
      at: '',
    });
  });

  router.get(
    [`${URL}/classes`, `${URL}/classes/:name/remove`, `${OFF}/confirm`, `${OFF}/take-back`],
    (_request, response) => response.redirect(303, URL),
  );

  return router;
}

/** The plan of a change, then the change itself: the one that was shown, or none. */
function changer({ context, view, send, permitted }: Pick<Pages, 'context' | 'view' | 'send' | 'permitted'>) {
  const { policies, retention, grants, readPolicies } = context.governance;
  return async function change(response: Response, asked: Asked): Promise<void> {
    const { make, input, action, again, at } = asked;
    const principal = await permitted(response, MANAGE, 'change policies');
    const present = await policies.all();
    if (input['step'] === 'edit') return again(present, { input, problems: [] });
    let wanted: PolicyParts;
    try {
      wanted = readPolicies(make(present));
    } catch (error) {
      if (!isCode(error, 'bad-input')) throw error;
      return again(present, { input, problems: problemsAt(error, at) });
    }
    let outdated = false;
    if (input['step'] === 'apply')
      try {
        const { pending } = await policies.put(
          principal,
          wanted,
          /^\d+$/.test(input['version'] ?? '') ? Number(input['version']) : 0,
        );
        const done = pending !== null && !wanted.general.breakGlass ? 'asked' : 'changed';
        return response.redirect(303, `${URL}?done=${done}#result`);
      } catch (error) {
        if (!isCode(error, 'version-mismatch')) throw error;
        outdated = true;
      }
    const document = outdated ? await policies.all() : present;
    const proposed = outdated ? readPolicies(make(document)) : wanted;
    const changes = differences(document, proposed);
    const about = changes.some((one) => one.retention);
    const taking = about
      ? { now: await retention.preview(document), then: await retention.preview(proposed) }
      : null;
    const isOff = document.general.breakGlass && !proposed.general.breakGlass;
    const off = isOff
      ? {
          switched: await policies.planSwitch(principal, proposed),
          ...{ preset: (await grants.terms()).preset, names: await namesOf(context) },
        }
      : null;
    const { _csrf, step: _step, version: _version, ...fields } = input;
    const body = confirmPage(view(response.locals), {
      ...{ document, changes, taking, off, action, input: fields, outdated },
    });
    send(response, { title: 'Policies', place: 'governance', body }, outdated ? 412 : 200);
  };
}

const doneOf = (name: string): keyof typeof DONE | null =>
  Object.hasOwn(DONE, name) ? (name as keyof typeof DONE) : null;

/** A form that is only shown again is nothing wrong. */
const statusOf = ({ problems }: PolicyForm): number => (problems.length > 0 ? 400 : 200);

const isClass = (name: string): boolean => SESSION_CLASS.safeParse(name).success;

function classNamed(name: string): string {
  if (isClass(name)) return name;
  throw new FactoryError({
    ...{ code: 'not-found', op: 'find class', target: name },
    message: 'There can be no class of this name.',
    hint: 'The Policies page lists the classes that have a policy.',
  });
}

/** Problems by the names of fields, in words for people. */
function problemsAt(error: FactoryError, at: string): PolicyForm['problems'] {
  return inputProblems(error).map(({ path, message }) => {
    const name = path.startsWith(at) ? path.slice(at.length) : path;
    return { path: name, message: wordsOf(name, message) };
  });
}

function wordsOf(name: string, message: string): string {
  if (message.includes('`floorDays`')) return 'Must not be less than what it is kept at least.';
  if (name.startsWith('quotas.')) return 'A whole number from 1 on, or empty.';
  if (name.endsWith('.binDays')) return 'A whole number from 0 to 36,500.';
  if (/\.(days|floorDays|ceilingDays)$/.test(name)) return 'A whole number from 1 to 36,500, or empty.';
  return message;
}
