import { isMap } from 'yaml';
import { fieldReader, KNOWN_KEYS } from './record-fields.ts';
import { isItemId, lineAt, MAX_FRONT_MATTER, splitFrontMatter } from './record-text.ts';
import type { Collection, QueueProblem, RecordFields } from './types.ts';
import { nearest, readYaml, reporter } from './yaml-nodes.ts';
import type { Entries, Report, YamlReader } from './yaml-nodes.ts';

export interface ParsedRecord {
  /** Null where a problem without `severity: 'warn'` was found. */
  fields: RecordFields | null;
  problems: QueueProblem[];
  /** The id that the front matter claims, where it is an id at all; it may differ from the file's name. */
  claimedId: string | null;
}

/**
 * Reads the text of `<collection>/<id>.md`. Every problem is found in one pass, with line (from 1), code, message and
 * next step. Warnings (`unknown-key`, `summary-empty`, `criteria-empty`, `status-vs-collection`) leave the fields
 * usable. Texts are trimmed, line ends of the summary are `\n`.
 * `path` is relative to the work-items folder; its base name tells the id that the record must have.
 */
export function parseRecord(text: string, at: { path: string; collection: Collection }): ParsedRecord {
  const problems: QueueProblem[] = [];
  const fileId = at.path.slice(at.path.lastIndexOf('/') + 1).replace(/\.md$/, '');
  const report = reporter(at.path, isItemId(fileId) ? fileId : null, problems);
  reportCharacters(text, report);
  const parts = frontMatter(text, report);
  if (!parts) return { fields: null, problems, claimedId: null };

  const yaml = readYaml(parts.yaml, 2, report);
  const malformed = new Set(problems.flatMap(({ code, line }) => (code === 'yaml-malformed' ? [line] : [])));
  const syntaxFails = malformed.size > 0;
  const entries = topLevel(yaml, report);
  const read = fieldReader(entries, yaml, report, !syntaxFails);
  const id = read.required('id');
  if (id !== null) checkId(id, fileId, entries.get('id')?.line ?? 1, report);
  const fields: RecordFields = {
    id: id ?? '',
    title: read.required('title') ?? '',
    summary: parts.body.replaceAll('\r\n', '\n').trim(),
    status: read.required('status') ?? '',
    workType: read.required('workType') ?? '',
    branch: read.optional('branch'),
    validation: read.optional('validation'),
    pr: read.optional('pr'),
    criteria: read.texts('criteria').map((entry) => entry.text),
    blockedBy: read.ids('blockedBy'),
    supersedes: read.id('supersedes'),
  };
  if (!syntaxFails) reportWarnings(fields, entries, at.collection, lineAt(text, parts.bodyStart), report);
  const failed = problems.some((problem) => problem.severity !== 'warn');
  // What a broken line seems to say is no further problem.
  const kept = problems.filter(({ code, line }) => code === 'yaml-malformed' || !malformed.has(line));
  return {
    fields: failed ? null : fields,
    problems: kept,
    claimedId: id !== null && isItemId(id) ? id : null,
  };
}

function reportCharacters(text: string, report: Report): void {
  const nul = text.indexOf('\0');
  if (nul >= 0)
    report(lineAt(text, nul), 'nul-byte', 'The file holds a NUL byte.', 'Remove it; a record is plain text.');
}

function frontMatter(
  text: string,
  report: Report,
): Exclude<ReturnType<typeof splitFrontMatter>, string> | null {
  const parts = splitFrontMatter(text);
  if (parts === 'missing') {
    report(
      1,
      'front-matter-missing',
      'The file does not start with `---`.',
      'Begin with `---`, the fields, and `---`.',
    );
  } else if (parts === 'unclosed') {
    report(
      1,
      'front-matter-unclosed',
      'The front matter has no closing `---`.',
      'End the fields with a line `---`.',
    );
  } else if (parts.yaml.length > MAX_FRONT_MATTER) {
    const message = `The front matter is longer than ${MAX_FRONT_MATTER} characters.`;
    report(1, 'front-matter-too-big', message, 'Move long texts into the body or the prompt.');
  } else {
    return parts;
  }
  return null;
}

function topLevel(yaml: YamlReader, report: Report): Entries {
  const root = yaml.document?.contents ?? null;
  if (root !== null && !isMap(root)) {
    report(
      yaml.line(root),
      'field-type',
      'The front matter is not a list of `name: value`.',
      'Write one field a line.',
    );
  }
  return yaml.entries(root);
}

function checkId(id: string, fileId: string, line: number, report: Report): void {
  if (!isItemId(id)) {
    report(
      line,
      'id-invalid',
      `${JSON.stringify(id)} is not of the form \`wi-<KEY>\`.`,
      'Write e.g. `wi-BF-106`.',
    );
  } else if (id !== fileId) {
    const message = `The record says \`${id}\`, the file's name says \`${fileId}\`.`;
    report(line, 'id-mismatch', message, `Rename the file to \`${id}.md\` or correct the id.`);
  }
}

function reportWarnings(
  fields: RecordFields,
  entries: Entries,
  collection: Collection,
  bodyLine: number,
  report: Report,
): void {
  for (const [key, { line }] of entries) {
    if ((KNOWN_KEYS as readonly string[]).includes(key)) continue;
    const near = nearest(key, KNOWN_KEYS);
    const hint = near ? `Did you mean \`${near}\`?` : `Known fields: ${KNOWN_KEYS.join(', ')}.`;
    report(
      line,
      'unknown-key',
      `\`${key}\` is not a field of a record; it is kept and not read.`,
      hint,
      'warn',
    );
  }
  if (fields.status && fields.status !== collection) {
    const message = `The status is \`${fields.status}\`, the collection is \`${collection}\`.`;
    report(
      entries.get('status')?.line ?? 1,
      'status-vs-collection',
      message,
      'Make both say the same.',
      'warn',
    );
  }
  if (fields.criteria.length === 0) {
    const message = 'The record has no criteria.';
    report(entries.get('criteria')?.line ?? 1, 'criteria-empty', message, 'Say what done means.', 'warn');
  }
  if (!fields.summary) {
    report(
      bodyLine,
      'summary-empty',
      'The record has no body.',
      'Write the summary below the front matter.',
      'warn',
    );
  }
}
