import { isMap, isScalar, stringify } from 'yaml';
import { FactoryError } from '../errors.ts';
import { isItemId, lineAt, MAX_FRONT_MATTER, splitFrontMatter } from './record-text.ts';
import type { Collection, QueueProblem, RecordFields } from './types.ts';
import { listOf, nearest, readYaml, reporter, scalarOf } from './yaml-nodes.ts';
import type { Entries, Report, YamlReader } from './yaml-nodes.ts';

export { blobId, decodeText, isItemId, MAX_FILE_BYTES } from './record-text.ts';

const KNOWN_KEYS = [
  'id',
  'title',
  'status',
  'workType',
  'branch',
  'validation',
  'pr',
  'criteria',
  'blockedBy',
  'supersedes',
] as const;
type Key = (typeof KNOWN_KEYS)[number];

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
  return { fields: failed ? null : fields, problems: kept, claimedId: id !== null && isItemId(id) ? id : null };
}

function reportCharacters(text: string, report: Report): void {
  const nul = text.indexOf('\0');
  if (nul >= 0) report(lineAt(text, nul), 'nul-byte', 'The file holds a NUL byte.', 'Remove it; a record is plain text.');
}

function frontMatter(text: string, report: Report): Exclude<ReturnType<typeof splitFrontMatter>, string> | null {
  const parts = splitFrontMatter(text);
  if (parts === 'missing') {
    report(1, 'front-matter-missing', 'The file does not start with `---`.', 'Begin with `---`, the fields, and `---`.');
  } else if (parts === 'unclosed') {
    report(1, 'front-matter-unclosed', 'The front matter has no closing `---`.', 'End the fields with a line `---`.');
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
    report(yaml.line(root), 'field-type', 'The front matter is not a list of `name: value`.', 'Write one field a line.');
  }
  return yaml.entries(root);
}

/** Reads fields with their types; `demand` false (the syntax failed) reports no missing field, it may be there. */
function fieldReader(entries: Entries, yaml: YamlReader, report: Report, demand: boolean) {
  const wrong = (line: number, what: string): null => {
    report(line, 'field-type', `${what} must be a text.`, 'Write a text; put numbers, dates and `true` in quotes.');
    return null;
  };
  const clean = (value: string, line: number, what: string): string | null => {
    if (value.includes('\0') || !value.isWellFormed()) {
      report(line, 'not-unicode', `${what} holds a NUL or half a character.`, 'Remove the escape that makes it.');
      return null;
    }
    return value.trim();
  };
  const optional = (key: Key): string | null => {
    const entry = entries.get(key);
    const value = scalarOf(entry?.node ?? null);
    if (!entry || value === null) return null;
    if (typeof value !== 'string') return wrong(entry.line, `\`${key}\``);
    return clean(value, entry.line, `\`${key}\``) || null;
  };
  const required = (key: Key): string | null => {
    const before = entries.get(key);
    const value = scalarOf(before?.node ?? null);
    const empty = value === null || (typeof value === 'string' && value.trim() === '');
    if (empty && demand) {
      const message = before ? `\`${key}\` is empty.` : `\`${key}\` is missing.`;
      report(before?.line ?? 1, 'field-missing', message, `Add \`${key}: …\` to the front matter.`);
    }
    return optional(key);
  };
  const texts = (key: Key): { text: string; line: number }[] => {
    const entry = entries.get(key);
    if (!entry || scalarOf(entry.node) === null) return [];
    const nodes = listOf(entry.node);
    if (!nodes) {
      report(entry.line, 'field-type', `\`${key}\` must be a list of texts.`, 'Write each as a line `- text`.');
      return [];
    }
    return nodes.flatMap((node, index) => {
      const line = node ? yaml.line(node) : entry.line;
      const what = `Entry ${index + 1} of \`${key}\``;
      const value = scalarOf(node);
      const text = typeof value === 'string' ? clean(value, line, what) : wrong(line, what);
      if (text === '') report(line, 'field-missing', `${what} is empty.`, 'Write its text or remove the line.');
      return text ? [{ text, line }] : [];
    });
  };
  const asId = (text: string, line: number, key: Key): string[] => {
    const id = text.startsWith('wi-') ? text : `wi-${text}`;
    if (isItemId(id)) return [id];
    report(line, 'id-invalid', `\`${key}\` names ${JSON.stringify(text)}, which is no item id.`, 'Write `wi-<KEY>`.');
    return [];
  };
  const ids = (key: Key): string[] => texts(key).flatMap(({ text, line }) => asId(text, line, key));
  const id = (key: Key): string | null => {
    const text = optional(key);
    return text === null ? null : (asId(text, entries.get(key)?.line ?? 1, key)[0] ?? null);
  };
  return { optional, required, texts, ids, id };
}

function checkId(id: string, fileId: string, line: number, report: Report): void {
  if (!isItemId(id)) {
    report(line, 'id-invalid', `${JSON.stringify(id)} is not of the form \`wi-<KEY>\`.`, 'Write e.g. `wi-BF-106`.');
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
    report(line, 'unknown-key', `\`${key}\` is not a field of a record; it is kept and not read.`, hint, 'warn');
  }
  if (fields.status && fields.status !== collection) {
    const message = `The status is \`${fields.status}\`, the collection is \`${collection}\`.`;
    report(entries.get('status')?.line ?? 1, 'status-vs-collection', message, 'Make both say the same.', 'warn');
  }
  if (fields.criteria.length === 0) {
    const message = 'The record has no criteria.';
    report(entries.get('criteria')?.line ?? 1, 'criteria-empty', message, 'Say what done means.', 'warn');
  }
  if (!fields.summary) {
    report(bodyLine, 'summary-empty', 'The record has no body.', 'Write the summary below the front matter.', 'warn');
  }
}

/**
 * The same text with another status: every other byte stays, comments, line ends and unknown keys included.
 * Throws `record-unreadable` (naming `target`) where the status cannot be found.
 */
export function rewriteStatus(text: string, status: string, target?: string): string {
  const parts = splitFrontMatter(text);
  const node = typeof parts === 'string' ? null : statusNode(parts.yaml);
  if (typeof parts === 'string' || !node?.range) throw unreadable('its front matter has no readable `status`', target);
  const start = parts.yamlStart + node.range[0];
  const end = parts.yamlStart + node.range[1];
  const written = writtenLike(node.type, status) + (/\r?\n$/.exec(text.slice(start, end))?.[0] ?? '');
  const changed = text.slice(0, start) + written + text.slice(end);
  const after = splitFrontMatter(changed);
  if (typeof after === 'string' || statusNode(after.yaml)?.value !== status) {
    throw unreadable('its `status` is written in a form that cannot be replaced', target);
  }
  return changed;
}

function statusNode(yaml: string) {
  const reader = readYaml(yaml, 2, () => undefined);
  if (!reader.document || reader.document.errors.length > 0) return null;
  const node = reader.entries(reader.document.contents).get('status')?.node ?? null;
  return isScalar(node) && typeof node.value === 'string' ? node : null;
}

/** The new value in the old one's quotes. */
function writtenLike(type: string | undefined, status: string): string {
  if (type === 'QUOTE_SINGLE') return `'${status.replaceAll("'", "''")}'`;
  const plain = /^[A-Za-z][A-Za-z-]*$/.test(status) && !/^(?:true|false|null)$/i.test(status);
  return plain && type !== 'QUOTE_DOUBLE' ? status : JSON.stringify(status);
}

function unreadable(why: string, target: string | undefined): FactoryError {
  return new FactoryError({
    code: 'record-unreadable',
    op: 'rewrite status',
    target,
    message: `The record cannot be rewritten: ${why}.`,
    hint: 'Run `npx factory validate` and correct the file.',
  });
}

/** A record's text. `parseRecord` of it gives the same fields, texts trimmed and line ends as `\n`. */
export function renderRecord(fields: RecordFields): string {
  const { summary, blockedBy, supersedes, id, title, status, workType, branch, validation, pr, criteria } = fields;
  const head = {
    id,
    title,
    status,
    workType,
    branch,
    validation,
    pr,
    criteria,
    ...(blockedBy.length > 0 ? { blockedBy } : {}),
    ...(supersedes === null ? {} : { supersedes }),
  };
  return `---\n${stringify(head, { lineWidth: 0 })}---\n\n${summary.replaceAll('\r\n', '\n').trim()}\n`;
}

/** A prompt's text as it is written to disk: `\n` line ends, one at the end. */
export function renderPrompt(text: string): string {
  return `${text.replaceAll('\r\n', '\n').trim()}\n`;
}
