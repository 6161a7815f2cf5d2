import { randomUUID } from 'node:crypto';
import { FactoryError } from '../../../errors.ts';
import type { ActionIdentity, GateResult, Principal } from '../../../work-items/types.ts';
import type { ItemsPort } from '../ports.ts';
import { actionInput, formInput, TAKES_INPUT } from '../views/action-inputs.ts';
import type { ActPanel } from '../views/item-page.ts';
import { inputProblems } from './render.ts';

/** What a posted action form led to: the decision that was applied, or a panel to show with a status. */
export type Step = { decisionId: string } | { status: number; panel: ActPanel };

/**
 * One step of an action: `plan` shows what would happen, `apply` does it. An action that takes input asks for it
 * first. A refusal comes back as a panel that says why; where the plan is outdated, with a new plan.
 */
export async function take(
  items: Pick<ItemsPort, 'act'>,
  principal: Principal,
  id: string,
  identity: ActionIdentity,
  form: Record<string, string>,
): Promise<Step> {
  const input = formInput(form);
  const panel: ActPanel = {
    identity,
    input,
    problems: [],
    plan: null,
    idempotencyKey: form.key || randomUUID(),
    refusal: null,
  };
  const plan = () => items.act(principal, id, identity, { input: actionInput(input), dryRun: true });
  try {
    if (form.step === 'apply') {
      const applied = await items.act(principal, id, identity, {
        input: actionInput(input),
        idempotencyKey: panel.idempotencyKey,
        ...(form.decisionId ? { decisionId: form.decisionId } : {}),
        ...(/^\d+$/.test(form.version ?? '') ? { ifMatch: Number(form.version) } : {}),
      });
      return { decisionId: applied.decisionId };
    }
    if (TAKES_INPUT.has(identity) && form.key === undefined) return { status: 200, panel };
    return { status: 200, panel: { ...panel, plan: await plan() } };
  } catch (error) {
    if (!(error instanceof FactoryError)) throw error;
    return refused(error, panel, plan);
  }
}

async function refused(
  error: FactoryError,
  panel: ActPanel,
  plan: () => ReturnType<ItemsPort['act']>,
): Promise<Step> {
  const refusal = { title: error.message, text: error.hint, gates: gatesOf(error) };
  switch (error.code) {
    case 'bad-input':
      return { status: 400, panel: { ...panel, problems: inputProblems(error) } };
    case 'permission-missing':
      return { status: 403, panel: { ...panel, refusal } };
    case 'action-blocked':
      return {
        status: 409,
        panel: {
          ...panel,
          refusal: { ...refusal, title: 'Blocked: nothing was changed.', text: error.message },
        },
      };
    case 'decision-outdated':
    case 'version-mismatch':
      return {
        status: error.code === 'version-mismatch' ? 412 : 409,
        panel: await planAgain(panel, refusal, plan),
      };
    default:
      throw error;
  }
}

/** The item changed between plan and confirmation: nothing was done, and the new plan is shown with a new key. */
async function planAgain(
  panel: ActPanel,
  refusal: NonNullable<ActPanel['refusal']>,
  plan: () => ReturnType<ItemsPort['act']>,
): Promise<ActPanel> {
  const title = 'The item changed since this plan was made; nothing was done.';
  const again = { ...panel, idempotencyKey: randomUUID() };
  try {
    return {
      ...again,
      plan: await plan(),
      refusal: { ...refusal, title, text: 'This is the plan as of now.' },
    };
  } catch (error) {
    if (!(error instanceof FactoryError)) throw error;
    return { ...again, refusal: { title, text: error.message, gates: gatesOf(error) } };
  }
}

function gatesOf(error: FactoryError): GateResult[] {
  const { blockers, changed } = error.details as { blockers?: GateResult[]; changed?: GateResult[] };
  const gates = blockers ?? changed;
  return Array.isArray(gates) ? gates.filter((gate) => typeof gate?.gate === 'string') : [];
}
