import { asFactoryError, FactoryError } from '../../errors.ts';

export interface Imported {
  id: string;
  /** False: it was there already, with the same content. */
  created: boolean;
  messages: number;
  attachments: number;
  /** Members of its line that have no place here; absent: none. */
  dropped?: string[];
}

interface Source {
  lines: AsyncGenerator<unknown>;
  /** `number`: of the line that was read last, from 1. */
  reader: { readonly number: number };
  /** What becomes of a session that comes once more: no change, or a new session. */
  again: 'same' | 'new';
}

/** One after the other; a problem names its line, what was kept before it, and the line from which nothing was. */
export async function each(
  { lines, reader, again }: Source,
  next: () => Promise<Imported | null>,
): Promise<Imported[]> {
  const imported: Imported[] = [];
  let fromLine = reader.number + 1;
  try {
    for (let one = await next(); one !== null; one = await next()) {
      imported.push(one);
      fromLine = reader.number + 1;
    }
    return imported;
  } catch (thrown) {
    const { code, op, target, message, hint, retryable, details } = asFactoryError(thrown, 'import sessions');
    const kept = imported.map(({ id }) => ({ id }));
    throw new FactoryError({
      ...{ code, op, message, retryable, cause: thrown, target: target ?? undefined },
      hint: again === 'new' && kept.length > 0 ? `${hint} ${goOn(fromLine)}` : hint,
      details: { line: reader.number, imported: kept, fromLine, ...details },
    });
  } finally {
    // Whoever sends has to know that the rest is not read.
    await lines.return(undefined);
  }
}

const goOn = (line: number): string =>
  `Then import the same file with fromLine=${line}: the lines before it were kept, and would come a second time.`;
