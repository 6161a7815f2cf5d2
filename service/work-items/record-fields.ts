import { isItemId } from './record-text.ts';
import { listOf, scalarOf } from './yaml-nodes.ts';
import type { Entries, Report, YamlReader } from './yaml-nodes.ts';

export const KNOWN_KEYS = [
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

/** Reads fields with their types; `demand` false (the syntax failed) reports no missing field, it may be there. */
export function fieldReader(entries: Entries, yaml: YamlReader, report: Report, demand: boolean) {
  const wrong = (line: number, what: string): null => {
    report(
      line,
      'field-type',
      `${what} must be a text.`,
      'Write a text; put numbers, dates and `true` in quotes.',
    );
    return null;
  };
  const clean = (value: string, line: number, what: string): string | null => {
    if (value.includes('\0') || !value.isWellFormed()) {
      report(
        line,
        'not-unicode',
        `${what} holds a NUL or half a character.`,
        'Remove the escape that makes it.',
      );
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
      report(
        entry.line,
        'field-type',
        `\`${key}\` must be a list of texts.`,
        'Write each as a line `- text`.',
      );
      return [];
    }
    return nodes.flatMap((node, index) => {
      const line = node ? yaml.line(node) : entry.line;
      const what = `Entry ${index + 1} of \`${key}\``;
      const value = scalarOf(node);
      const text = typeof value === 'string' ? clean(value, line, what) : wrong(line, what);
      if (text === '')
        report(line, 'field-missing', `${what} is empty.`, 'Write its text or remove the line.');
      return text ? [{ text, line }] : [];
    });
  };
  const asId = (text: string, line: number, key: Key): string[] => {
    const id = text.startsWith('wi-') ? text : `wi-${text}`;
    if (isItemId(id)) return [id];
    report(
      line,
      'id-invalid',
      `\`${key}\` names ${JSON.stringify(text)}, which is no item id.`,
      'Write `wi-<KEY>`.',
    );
    return [];
  };
  const ids = (key: Key): string[] => texts(key).flatMap(({ text, line }) => asId(text, line, key));
  const id = (key: Key): string | null => {
    const text = optional(key);
    return text === null ? null : (asId(text, entries.get(key)?.line ?? 1, key)[0] ?? null);
  };
  return { optional, required, texts, ids, id };
}
