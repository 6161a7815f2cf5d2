import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, writeFiles } from './service.ts';
import type { Place } from './service.ts';

/** Queue folders for the real process. */

/** Front matter as given, in order; a list becomes YAML lines. */
export function recordText(fields: Record<string, string | string[] | null>, summary: string): string {
  const lines = Object.entries(fields).flatMap(([name, value]) => {
    if (value === null) return [];
    if (Array.isArray(value)) return [`${name}:`, ...value.map((entry) => `  - ${entry}`)];
    return [`${name}: ${value}`];
  });
  return `---\n${lines.join('\n')}\n---\n\n${summary}\n`;
}

/** A whole record and its prompt. */
export function itemFiles(
  id: string,
  lane: string,
  extra: Record<string, string | string[] | null> = {},
): Record<string, string> {
  const fields = {
    id,
    title: `Title of ${id}`,
    status: lane,
    workType: 'implementation',
    branch: `bf/${id}`,
  };
  return {
    [`${lane}/${id}.md`]: recordText(
      { ...fields, criteria: ['First', 'Second'], ...extra },
      `Summary of ${id}.`,
    ),
    [`prompts/${id}.prompt.md`]: `Do what ${id} says.\n`,
  };
}

/** The repository's own queue, in the place. */
export function copyOwnQueue(place: Place): void {
  cpSync(join(ROOT, 'work-items'), place.queue, { recursive: true });
}

export { writeFiles };
