import { whyNot } from './copy.ts';
import type { Source } from './source.ts';
import { connectTarget, inspectTarget } from './target.ts';
import type { Quarantined, TargetState } from './target.ts';

const CHUNK_ROWS = 5_000;
const CHUNK_CHARACTERS = 8 * 1024 * 1024;

export interface Checked {
  tables: { name: string; rows: number }[];
  /** Rows that cannot go as they are. */
  cannotGo: Quarantined[];
  target: TargetState['state'];
}

/** Reads the whole source and looks at the target; changes neither. Errors: those of `inspectTarget`. */
export async function check(
  source: Source,
  url: string,
  progress: (table: string, rows: number) => void,
): Promise<Checked> {
  const client = await connectTarget(url);
  try {
    const { state } = await inspectTarget(client, url, source.installation);
    const cannotGo: Quarantined[] = [];
    const tables = source.tables.map((table) => {
      let rows = 0;
      let after = '-9223372036854775808';
      for (;;) {
        const chunk = source.chunk(table, after, CHUNK_ROWS, CHUNK_CHARACTERS);
        if (chunk.length === 0) return { name: table.name, rows };
        rows += chunk.length;
        after = chunk.at(-1)?.rowid ?? after;
        progress(table.name, rows);
        for (const { rowid, key, defects } of chunk)
          if (defects.length > 0) cannotGo.push({ table: table.name, rowid, key, reason: whyNot(defects) });
      }
    });
    return { tables, cannotGo, target: state };
  } finally {
    await client.end().catch(() => undefined);
  }
}
