import type { Manifest } from '../backup/format.ts';
import { startApplication } from './boot.ts';
import { copyAt } from './copy.ts';
import type { Findings } from './findings.ts';
import type { Application, DrillJob, DrillResult } from './job.ts';
import { judgeAge, networkText, since } from './rules.ts';
import type { Workplace } from './workplace.ts';

/** Another application on its restored database. */

export async function proveOther(
  job: DrillJob,
  application: Application,
  { manifest, place, to }: { manifest: Manifest; place: Workplace; to: string },
  found: Findings,
  result: DrillResult,
): Promise<void> {
  judgeAge(job, manifest.startedAt, found, result);
  found.begin('boot', 'Starting the application');
  const started = performance.now();
  const signal = AbortSignal.any([job.signal, AbortSignal.timeout(job.bootMs)]);
  const { dataDir } = copyAt(place).config;
  const values: Record<string, string> = { db: to, dir: dataDir, port: String(application.port) };
  const fill = (text: string): string =>
    text.replace(/\{(db|dir|port)\}/g, (all, name: string) => values[name] ?? all);
  const env = {
    ...application.env,
    ...{
      DRILL_DB: to,
      DRILL_DIR: dataDir,
      DRILL_PORT: String(application.port),
      PORT: String(application.port),
    },
  };
  const command: [string, ...string[]] = ['sh', '-c', fill(application.command)];
  const running = await startApplication(
    { command, cwd: application.cwd, env },
    { signal, needsNetwork: false },
  );
  try {
    result.network = running.apart ? 'enforced' : 'configured';
    for (const check of application.checks) await running.answers(fill(check));
    result.bootSeconds = since(started);
    found.pass('boot', `It answered after ${result.bootSeconds} s. ${networkText(running.apart)}`);
    for (const check of application.checks) found.pass(`read: ${fill(check)}`, 'It answered with 2xx.');
  } finally {
    await running.stop();
  }
}
