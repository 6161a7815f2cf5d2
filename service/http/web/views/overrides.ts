import { LANE_GATES } from '../../../work-items/packs.ts';
import type { ActionIdentity, GateIdentity, GateResult } from '../../../work-items/types.ts';
import { blocking } from './gates.ts';
import type { ItemPage } from './item-page.ts';

/** A gate that blocks an action, and that an override can turn. */
export interface Turnable {
  gate: GateIdentity;
  action: ActionIdentity;
  label: string;
  reason: string;
}

/**
 * What an override of this item could turn now: gates that block, are not hard, and belong to actions that the lane
 * allows. What waits for a second person comes first.
 */
export function turnable(
  { item, actions }: Pick<ItemPage, 'item' | 'actions'>,
  hard: readonly string[],
): Turnable[] {
  const isHard = ({ gate }: GateResult) => LANE_GATES.includes(gate) || hard.includes(gate);
  const all = actions.actions.flatMap(({ identity: action, label, gates }) => {
    const blockers = blocking(gates);
    return blockers.some(isHard) ? [] : blockers.map(({ gate, reason }) => ({ gate, action, label, reason }));
  });
  const waits = ({ gate, action }: Turnable) =>
    item.overrides.some(
      (one) => one.gate === gate && one.action === action && one.state === 'waiting-for-person',
    );
  return [...all.filter(waits), ...all.filter((one) => !waits(one))];
}
