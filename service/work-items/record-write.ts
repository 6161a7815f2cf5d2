import { isScalar, stringify } from 'yaml';
import { FactoryError } from '../errors.ts';
import { splitFrontMatter } from './record-text.ts';
import type { RecordFields } from './types.ts';
import { readYaml } from './yaml-nodes.ts';

/**
 * The same text with another status: every other byte stays, comments, line ends and unknown keys included.
 * Throws `record-unreadable` (naming `target`) where the status cannot be found.
 */
export function rewriteStatus(text: string, status: string, target?: string): string {
  const parts = splitFrontMatter(text);
  const node = typeof parts === 'string' ? null : statusNode(parts.yaml);
  if (typeof parts === 'string' || !node?.range)
    throw unreadable('its front matter has no readable `status`', target);
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
  const { summary, blockedBy, supersedes, id, title, status, workType, branch, validation, pr, criteria } =
    fields;
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
