import type { SessionView } from '../../../chat/types.ts';
import type {
  ActionResult,
  ActionsDocument,
  DecisionDocument,
  HistoryDocument,
  ItemDocument,
} from '../../../work-items/documents.ts';
import type { ActionIdentity, GateResult } from '../../../work-items/types.ts';
import type { FormInput, InputProblem } from './action-inputs.ts';

/** What the item page is made of; its parts take what they need of it. */
export interface ItemPage {
  item: ItemDocument;
  actions: ActionsDocument;
  /** Whether all actions are listed, or those that the lane allows. */
  all: boolean;
  history: HistoryDocument;
  /** Those of this item that the viewer may see, the newest first. */
  sessions: readonly SessionView[];
  viewer: Viewer;
  /** The action that the address names; its entry stands open. */
  focus: ActionIdentity | null;
  /** The action that the viewer is about to take. */
  panel: ActPanel | null;
  /** The decision that this page was reached by. */
  applied: DecisionDocument | null;
}

/** The signed-in principal, as far as the item page speaks of it. */
export interface Viewer {
  /** The person who answers for what the viewer does. */
  personId: string;
  roles: string[];
  permissions: ReadonlySet<string>;
}

/** One action under way on the item page: what was asked, planned or refused. */
export interface ActPanel {
  identity: ActionIdentity;
  input: FormInput;
  problems: InputProblem[];
  /** Null where there is nothing to confirm: the input is incomplete, or the action was refused. */
  plan: ActionResult | null;
  /** Makes the confirmed request safe to send twice. */
  idempotencyKey: string;
  /** Why the last step did not happen. */
  refusal: { title: string; text: string; gates: GateResult[] } | null;
}
