import { asFactoryError } from '../../../service/errors.ts';

/** One finding of `doctor`; `hint` is the next step, null where none is needed. */
export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  detail: string;
  hint: string | null;
}

export const ok = (name: string, detail: string): Check => ({ name, status: 'ok', detail, hint: null });
export const warn = (name: string, detail: string, hint: string): Check => ({
  name,
  status: 'warn',
  detail,
  hint,
});
export const fail = (name: string, detail: string, hint: string): Check => ({
  name,
  status: 'fail',
  detail,
  hint,
});

/** Runs one probe; what it throws is its finding. */
export async function probe(name: string, look: () => Check | Promise<Check>): Promise<Check> {
  try {
    return await look();
  } catch (thrown) {
    const { message, hint } = asFactoryError(thrown, `check ${name}`);
    return fail(name, message, hint);
  }
}
