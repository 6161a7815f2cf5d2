import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { inject } from 'vitest';
import { z } from 'zod';
import { detect } from '../../service/chat/sensitive/detect.ts';

const REPORT = z.array(z.object({ RuleID: z.string(), Secret: z.string(), File: z.string() }));

export interface Judged {
  text: string;
  /** By whom something in it was found. */
  ours: boolean;
  theirs: boolean;
  /** Rules of theirs whose find ours does not touch. */
  missed: string[];
}

/** What both find in texts, in their order. Comments that tell gitleaks to look away count for as little as they do for ours. */
export function judge(texts: readonly string[]): Judged[] {
  const found = gitleaks(texts);
  return texts.map((text, index) => {
    const ours = detect(text, ['secrets']);
    const theirs = found.get(index) ?? [];
    const touched = (secret: string): boolean => {
      const at = text.indexOf(secret);
      // What it decoded first stands nowhere in the text.
      return at < 0 ? ours.length > 0 : ours.some(({ start, end }) => start < at + secret.length && end > at);
    };
    const missed = theirs.filter(({ Secret }) => !touched(Secret)).map(({ RuleID }) => RuleID);
    return { text, ours: ours.length > 0, theirs: theirs.length > 0, missed };
  });
}

function gitleaks(texts: readonly string[]): Map<number, z.output<typeof REPORT>> {
  const folder = mkdtempSync(join(tmpdir(), 'factory-gitleaks-'));
  try {
    // A text each, so that none stands in the surroundings of another.
    texts.forEach((text, index) => writeFileSync(join(folder, `${index}.txt`), text));
    const report = `${folder}.json`;
    const options = ['--no-banner', '--ignore-gitleaks-allow', '--log-level=error', '--exit-code=0'];
    const how = ['--max-decode-depth=2', '--report-format=json', `--report-path=${report}`];
    execFileSync(inject('gitleaks'), ['dir', folder, ...options, ...how], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const found = REPORT.parse(JSON.parse(readFileSync(report, 'utf8')));
    rmSync(report);
    return Map.groupBy(found, ({ File }) => Number(basename(File, '.txt')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
