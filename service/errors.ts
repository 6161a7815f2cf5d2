/**
 * The one error of ours. It says what failed (`op`), on what (`target`), why (`message`, `cause`) and what to do
 * next (`hint`). It knows no HTTP; `http/errors.ts` maps codes to answers once.
 */
export interface FactoryErrorFields {
  /** Stable, kebab-case, e.g. `database-foreign`. */
  code: string;
  /** The operation, e.g. `open database`. */
  op: string;
  /** What it worked on, e.g. a path or an id. Never a secret. */
  target?: string | undefined;
  message: string;
  /** The next step, one sentence. */
  hint: string;
  /** True where the same call can succeed later without a change. */
  retryable?: boolean | undefined;
  /** Further facts for machines, e.g. `blockers`. */
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
}

export class FactoryError extends Error {
  readonly code: string;
  readonly op: string;
  readonly target: string | null;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  constructor(fields: FactoryErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'FactoryError';
    this.code = fields.code;
    this.op = fields.op;
    this.target = fields.target ?? null;
    this.hint = fields.hint;
    this.retryable = fields.retryable ?? false;
    this.details = fields.details ?? {};
  }

  /** The form of `--json` errors, see docs of the command line. */
  toJSON(): Record<string, unknown> {
    const { code, op, target, message, hint, retryable } = this;
    return { code, op, target, message, hint, retryable };
  }
}

/** Any thrown value as a `FactoryError`; unknown ones become `internal`. */
export function asFactoryError(error: unknown, op: string): FactoryError {
  if (error instanceof FactoryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new FactoryError({
    code: 'internal',
    op,
    message,
    hint: 'Look at the log around this request; report it if it happens again.',
    cause: error,
  });
}
