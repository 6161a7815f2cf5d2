import { createPublicApi, problemError } from './lib/client.ts';
import { plain, table } from './lib/layout.ts';
import { readConfig, releaseName } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { ExitCode, Run } from './lib/verb.ts';

const PATH = '/api/health';
/** A service that takes longer is not well, and a monitor wants to know soon. */
const ANSWER_MS = 10_000;
const EXITS: Record<string, ExitCode> = { ok: EXIT.done, degraded: EXIT.degraded, failing: EXIT.failed };

/** The part of the service's answer that is shown. */
interface HealthAnswer {
  status: string;
  release: string | null;
  schema: number;
  startedAt: string;
  checks: Record<string, { status: string; detail: string }>;
}

export const health: Run = async (context) => {
  const answer = await createPublicApi(readConfig(context), ANSWER_MS).call(PATH);
  if (answer.status !== 200 && answer.status !== 503) throw problemError(answer, 'GET', PATH);
  const body = answer.body as HealthAnswer;
  return { json: body, text: healthText(body), exit: EXITS[body.status] ?? EXIT.failed };
};

function healthText({ status, release, schema, startedAt, checks }: HealthAnswer): string {
  const head = `${status}: release ${releaseName(release)}, schema ${schema}, started ${startedAt}`;
  const rows = Object.entries(checks).map(([name, check]) => [name, check.status, check.detail]);
  return `${plain(head)}\n\n${table(['CHECK', 'STATUS', 'DETAIL'], rows)}`;
}
