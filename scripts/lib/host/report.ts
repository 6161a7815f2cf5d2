/** What a run of the script on a host said. */

export interface HostChange {
  kind: string;
  name: string;
  /** How it was, e.g. `differs`, `is not enabled`. */
  what: string;
  /** Lines of a unified diff, where a plain file differs and only a plan was asked for. */
  diff: string[];
}

export interface HostReport {
  layers: { name: string; changes: HostChange[] }[];
  changes: number;
  /** Secrets that nobody brought yet. */
  awaited: string[];
  failed: { layer: string; message: string } | null;
  /** It came to its end, well or not. */
  ended: boolean;
}

/** Errors: none; lines of another form are passed over, as a login's own words may be among them. */
export function readReport(text: string): HostReport {
  const report: HostReport = { layers: [], changes: 0, awaited: [], failed: null, ended: false };
  const layerOf = (name: string): HostReport['layers'][number] => {
    const found = report.layers.find((one) => one.name === name);
    if (found) return found;
    const made = { name, changes: [] };
    report.layers.push(made);
    return made;
  };
  for (const line of text.split('\n')) {
    const [word, layer = '', ...rest] = line.split('\t');
    if (word === 'layer') layerOf(layer);
    if (word === 'change')
      layerOf(layer).changes.push({
        kind: rest[0] ?? '',
        name: rest[1] ?? '',
        what: rest[2] ?? '',
        diff: [],
      });
    if (word === 'diff')
      layerOf(layer)
        .changes.find(({ name }) => name === rest[0])
        ?.diff.push(rest.slice(1).join('\t'));
    if (word === 'awaited') report.awaited.push(rest[0] ?? '');
    if (word === 'failed') report.failed = { layer, message: rest.join(' ') };
    if (word === 'end' || word === 'failed') report.ended = true;
  }
  report.changes = report.layers.reduce((sum, { changes }) => sum + changes.length, 0);
  return report;
}

/** A line a layer, and below it what differs. */
export function reportText({ layers, changes, awaited }: HostReport, applied: boolean): string {
  const lines = layers.flatMap(({ name, changes: own }) => [
    `${name.padEnd(11)} ${own.length === 0 ? 'as described' : own.length === 1 ? '1 change' : `${own.length} changes`}`,
    ...own.flatMap(({ kind, name: what, what: how, diff }) => [
      `  ${kind} ${what}: ${how}`,
      ...diff.map((line) => `      ${line}`),
    ]),
  ]);
  const counted = changes === 1 ? '1 change' : `${changes} changes`;
  const end = changes === 0 ? 'No change.' : applied ? `${counted}, applied.` : `${counted} to make.`;
  const waits = awaited.map(
    (path) => `waits for ${path}: bring it with --credentials, or put it there, root's alone`,
  );
  return [...lines, ...waits, end].join('\n');
}
