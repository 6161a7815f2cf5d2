import { resolve } from 'node:path';
import { FactoryError } from '../service/errors.ts';
import { usage } from './lib/failure.ts';
import type { Layer } from './lib/host/items.ts';
import { hostLayers } from './lib/host/layers.ts';
import { objection, PROBE, readFacts } from './lib/host/probe.ts';
import { hostSettingsFrom, withCredentials } from './lib/host/read-settings.ts';
import { readReport, reportText } from './lib/host/report.ts';
import type { HostReport } from './lib/host/report.ts';
import { hostScript } from './lib/host/script.ts';
import { connect } from './lib/host/ssh.ts';
import type { Connection } from './lib/host/ssh.ts';
import { EXIT } from './lib/verb.ts';
import type { Run, VerbContext } from './lib/verb.ts';

const TARGET = /^[a-z][a-z0-9-]{0,30}@[A-Za-z0-9:][A-Za-z0-9.:_-]*$/;

/** Makes a running host what its settings say: look, plan, show, apply exactly that, look whether one still gets in. */
export const apply: Run = async (context, given) => {
  const [target = ''] = given.arguments;
  if (!TARGET.test(target))
    throw usage('host apply', `"${target}" is no login at a host, such as root@203.0.113.7.`);
  const settings = hostSettingsFrom(context.cwd, given.text('settings') ?? 'host.yaml', given.list('env'));
  const host = connect(target, { knownHosts: given.text('knownHosts'), key: given.text('key') });
  const script = hostScript(layersOf(context, settings, given.text('credentials')));

  context.progress(`Looking at ${target} …`);
  const facts = readFacts(await host.run(PROBE, []));
  const refused = objection(facts, settings, target, host.key());
  if (refused) throw refused;
  const plan = await runOn(host, script, 'plan', context);
  if (given.flag('plan') || plan.changes === 0) return answerOf(target, plan, false);

  context.say(reportText(plan, false));
  const done = await runOn(host, script, 'apply', context);
  context.progress(`Looking whether ${target} still lets you in …`);
  await host.run('true', []);
  return answerOf(target, done, true);
};

function layersOf(
  { cwd }: VerbContext,
  settings: Parameters<typeof hostLayers>[0],
  credentials: string | undefined,
): Layer[] {
  const layers = hostLayers(settings);
  return credentials === undefined ? layers : withCredentials(layers, settings, resolve(cwd, credentials));
}

/** Errors: `host-layer-failed`, `host-interrupted`, with what was done by then. */
async function runOn(
  host: Connection,
  script: string,
  how: 'plan' | 'apply',
  { progress }: VerbContext,
): Promise<HostReport> {
  progress(how === 'plan' ? 'Comparing …' : 'Applying …');
  const report = readReport(
    await host.run(script, [how], (line) => {
      const [word, layer, ...rest] = line.split('\t');
      if (word === 'change' && how === 'apply') progress(`Applying ${layer}: ${rest[1]}`);
    }),
  );
  const about = { op: `${how} host`, target: host.target, details: { report } };
  if (report.failed) {
    const { layer, message } = report.failed;
    const full = message.includes('No space left on device');
    throw new FactoryError({
      ...{ ...about, code: full ? 'host-disk-full' : 'host-layer-failed' },
      message: `${layer}: ${message}`,
      hint: `${full ? 'Make room on the host' : 'Mend what it says'}, and run this again: it goes on from there. The layers before ${layer} are done.`,
    });
  }
  if (report.ended) return report;
  throw new FactoryError({
    ...{ ...about, code: 'host-interrupted', retryable: true },
    message: `${host.target} stopped talking in the middle of it.`,
    hint: 'Run this again: what is done is left alone, and the rest is done.',
  });
}

function answerOf(host: string, report: HostReport, applied: boolean): Awaited<ReturnType<Run>> {
  const { layers, changes, awaited } = report;
  return {
    json: { host, applied, changes, layers, awaited },
    text: reportText(report, applied),
    exit: awaited.length > 0 ? EXIT.degraded : EXIT.done,
  };
}
