import { z } from 'zod';

/**
 * Policies of conversations: one document for all, and one for each class that differs from the general one. A new
 * installation has none stored: the small team's preset, in which secrets are redacted and nothing else happens by itself.
 */

export const KINDS = ['message', 'toolOutput', 'attachment', 'export'] as const;
export type Kind = (typeof KINDS)[number];

export const VERDICTS = ['allow', 'redact', 'quarantine', 'block'] as const;
export type Verdict = (typeof VERDICTS)[number];

const DAY_LIMIT = 36_500;
const days = z.int().min(1).max(DAY_LIMIT);
const verdict = z.enum(VERDICTS);

/** `days` null: kept for ever. `binDays`: how long it lies in the bin before it is purged. */
const keeping = z.strictObject({ days: days.nullable(), binDays: z.int().min(0).max(DAY_LIMIT) });

export const CLASS_POLICY = z.strictObject({
  retention: z.strictObject({
    ...{ message: keeping, toolOutput: keeping, attachment: keeping, export: keeping },
  }),
  sensitive: z.strictObject({
    secrets: verdict,
    personal: verdict,
    nationalIds: verdict,
    /** Other verdicts for messages of a role; absent: as above. */
    roles: z.partialRecord(
      z.enum(['user', 'assistant', 'system', 'tool']),
      z.strictObject({ secrets: verdict, personal: verdict, nationalIds: verdict }).partial(),
    ),
  }),
});
export type Keeping = z.output<typeof keeping>;
export type ClassPolicy = z.output<typeof CLASS_POLICY>;

const most = z.int().min(1).nullable();

/** Limits of what classes may say. `floorDays`: kept at least so long; `ceilingDays`: nothing is kept longer. */
const bounds = z
  .strictObject({ floorDays: days.nullable(), ceilingDays: days.nullable() })
  .refine(({ floorDays, ceilingDays }) => (floorDays ?? 0) <= (ceilingDays ?? DAY_LIMIT), {
    message: 'Must not be less than `floorDays`.',
    path: ['ceilingDays'],
  });
export type Bounds = z.output<typeof bounds>;
const NO_BOUNDS: Bounds = { floorDays: null, ceilingDays: null };
const ANY_RETENTION = {
  ...{ message: NO_BOUNDS, toolOutput: NO_BOUNDS, attachment: NO_BOUNDS, export: NO_BOUNDS },
};

/** What one subject and one session may take; null: as much as it likes. */
export const GENERAL_POLICY = z.strictObject({
  /** Owners read sessions that are not theirs with a reason and a second person only. */
  breakGlass: z.boolean(),
  retention: z.strictObject({ message: bounds, toolOutput: bounds, attachment: bounds, export: bounds }),
  quotas: z.strictObject({
    messagesPerSubjectAndDay: most,
    bytesPerSubjectAndDay: most,
    messagesPerSession: most,
    bytesPerSession: most,
  }),
});
export type GeneralPolicy = z.output<typeof GENERAL_POLICY>;

const forEver = { days: null, binDays: 14 };

export const DEFAULT_CLASS: ClassPolicy = {
  retention: { message: forEver, toolOutput: forEver, attachment: forEver, export: forEver },
  sensitive: { secrets: 'redact', personal: 'allow', nationalIds: 'allow', roles: {} },
};

export const DEFAULT_GENERAL: GeneralPolicy = {
  breakGlass: false,
  retention: ANY_RETENTION,
  quotas: {
    ...{ messagesPerSubjectAndDay: null, bytesPerSubjectAndDay: null },
    ...{ messagesPerSession: null, bytesPerSession: null },
  },
};

/** The class whose policy counts where a session's class has none of its own. */
export const GENERAL = 'general';

/** Under which class the document for all is stored; no session can have it. */
export const ALL = '*';
/** And under which one that break-glass goes off lies, see `break-glass-off.ts`. */
export const WAITS = '*break-glass-off';
