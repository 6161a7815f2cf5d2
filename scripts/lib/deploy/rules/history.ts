import type { DeployRecord } from '../types.ts';

/** What was deployed, from the lines of `deploys.jsonl`. Pure. */

/** Each run once, as its newest line says, newest first. A line that was cut off by a crash is passed over. */
export function readHistory(text: string): DeployRecord[] {
  const runs = new Map<string, DeployRecord>();
  for (const line of text.split('\n')) {
    const found = parsed(line);
    if (found !== null) runs.set(found.id, found);
  }
  return [...runs.values()].sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

function parsed(line: string): DeployRecord | null {
  try {
    const found = JSON.parse(line) as DeployRecord | null;
    return typeof found?.id === 'string' && typeof found.startedAt === 'string' ? found : null;
  } catch {
    return null;
  }
}

/** Whether the newest run on this release held to its end: then doing it again is nothing. */
export function heldLast(history: readonly DeployRecord[], release: string): boolean {
  const [newest] = history;
  return newest?.release === release && (newest.outcome === 'ok' || newest.outcome === 'unchanged');
}
