import { cut } from './import-refusals.ts';
import { malformed, type NumberedLine } from './lines.ts';
import { LINE, type AttachmentLine, type Line, type SessionLine } from './transfer.ts';

/** The lines of an import, each of the form that it says. */

/** Errors: `import-malformed`. */
export function parsed<T>(
  schema: {
    safeParse(value: unknown): { success: true; data: T } | { success: false; error: { issues: Issue[] } };
  },
  { number, text }: NumberedLine,
): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(number, 'it is not JSON, or was cut', { cause: error, hint: onOneLine(text) });
  }
  if (Array.isArray(value))
    throw malformed(number, 'it is a list', { hint: `${ONE_A_LINE}: \`jq -c '.[]' FILE\` writes it so.` });
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw malformed(number, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'wrong'}`);
}

const ONE_A_LINE = 'One JSON document a line is expected';

/** Where JSON goes on behind the end of the line: it was written for people. */
function onOneLine(text: string): string | undefined {
  if (!/^[[{]$|[[{,]$/.test(text)) return undefined;
  return `${ONE_A_LINE}, and this one goes over several. \`jq -c . FILE\` writes each on one line, \`jq -c '.[]' FILE\` what a list holds.`;
}

interface Issue {
  path: PropertyKey[];
  message: string;
}

export interface LineReader {
  /** Of the line that was read last. */
  readonly number: number;
  /** The head of the next session; null: the file ends here. */
  first(): Promise<SessionLine | null>;
  /** Errors: `import-cut` where there is none. */
  next(): Promise<Line>;
  /** Content of the file whose line was read. */
  content(line: AttachmentLine): AsyncGenerator<Buffer>;
}

/** `before`: lines that were passed over. */
export function readerOf(lines: AsyncIterator<NumberedLine>, before: number): LineReader {
  let number = before;
  async function take(): Promise<Line | null> {
    const next = await lines.next();
    if (next.done) return null;
    number = next.value.number;
    return parsed(LINE, next.value);
  }
  async function next(): Promise<Line> {
    const line = await take();
    if (!line) throw cut(number);
    return line;
  }
  return {
    get number() {
      return number;
    },
    next,
    async first() {
      const line = await take();
      if (!line || line.type === 'session') return line;
      throw malformed(number, `a session begins with a line of the type session, not ${line.type}`);
    },
    async *content({ bytes }) {
      for (let read = 0; read < bytes;) {
        const line = await next();
        if (line.type !== 'data')
          throw malformed(number, `${bytes - read} bytes of the file before it are missing`);
        const data = Buffer.from(line.data, 'base64');
        if ((read += data.length) > bytes) throw malformed(number, `the file is longer than ${bytes} bytes`);
        yield data;
      }
    },
  };
}
