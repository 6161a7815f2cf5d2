import type { DeployRecord, Deploys } from '../../../jobs/deploy-history.ts';
import { measured, plural } from '../format.ts';
import { html, type Html } from '../html.ts';
import { icon, panel, time, withCode, type IconName, type Tone, type View } from './parts.ts';

/** A run that has not ended after so long was cut off. */
const LONGEST_MS = 60 * 60_000;

interface Mark {
  icon: IconName;
  tone: Tone;
  word: string;
}

/** What was put in place on this host, each with its steps and how long they took. */
export function deployPanel(view: View, { log, deploys }: Deploys): Html {
  if (deploys.length === 0)
    return panel('Deploys', html`<p class="empty">${withCode(NOTHING[log])}</p>`, {
      bare: true,
      id: 'deploys',
    });
  const well = deploys.filter(({ outcome }) => outcome === 'ok' || outcome === 'unchanged').length;
  const body = html`${deploys.map((deploy, index) => row(view, deploy, index === 0))}`;
  return panel('Deploys', body, {
    aside: html`<span class="muted small">${well} of the last ${deploys.length} held</span>`,
    id: 'deploys',
  });
}

const NOTHING: Record<Deploys['log'], string> = {
  none: 'No deploy is written down here: this service was started by hand. Releases that `npx factory deploy` puts in place show up with their steps and times.',
  read: 'No deploy yet.',
  unreadable:
    'The log of deploys cannot be read by this service. FACTORY_DEPLOY_LOG names it; its group has to be that of the service.',
};

function row(view: View, deploy: DeployRecord, newest: boolean): Html {
  const { release, from, by, startedAt, reason, steps } = deploy;
  const { icon: name, tone, word } = markOf(view, deploy);
  const took = steps.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  return html`<details ${newest && html`open`}>
    <summary>
      ${icon(view, name, tone)} <b class="breakable">${release}</b> ${word}
      <span class="muted small">${time(view, startedAt)} by ${by}, ${measured(took)}</span>
    </summary>
    ${reason !== null && html`<p class="${tone} small breakable">${reason}</p>`}
    ${
      from !== null &&
      from !== release &&
      html`<p class="small muted">Before it: <span class="breakable">${from}</span></p>`
    }
    ${
      steps.length === 0
        ? html`<p class="small muted">No step has ended.</p>`
        : html`<ol class="plain small" aria-label="${plural(steps.length, 'step')}">
            ${steps.map(
              ({ name: step, ms, status, detail }) =>
                html`<li class="breakable">
                  <b class="${status === 'failed' && 'bad'}">${step}</b> ${measured(ms / 1000)}
                  <span class="muted">${detail}</span>
                </li>`,
            )}
          </ol>`
    }
  </details>`;
}

function markOf(view: View, { kind, outcome, startedAt }: DeployRecord): Mark {
  const back = kind === 'rollback';
  switch (outcome) {
    case 'ok':
      return { icon: 'tick', tone: 'ok', word: back ? 'gone back to' : 'deployed' };
    case 'unchanged':
      return { icon: 'tick', tone: 'ok', word: 'was live already' };
    case 'failed':
      return { icon: 'cross', tone: 'bad', word: back ? 'not gone back to' : 'not deployed' };
    case 'rolled-back':
      return { icon: 'triangle', tone: 'warn', word: 'rolled back after the switch' };
    case null:
      return view.now - Date.parse(startedAt) < LONGEST_MS
        ? { icon: 'question', tone: 'warn', word: 'is being deployed, or was cut off' }
        : { icon: 'question', tone: 'warn', word: 'was cut off' };
  }
}
