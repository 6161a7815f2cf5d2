/** What bears on an item beside its record and its signals; read before a rule runs and passed in. */
export interface Conditions {
  /** Whether the record follows the item by itself. */
  queueWrites: boolean;
}

/** Of an item that nothing bears on. */
export const PLAIN: Conditions = { queueWrites: true };
