import type { Night, NightState } from '../../../jobs/nights.ts';
import { plural } from '../format.ts';
import { html, type Html } from '../html.ts';
import { panel } from './parts.ts';

const NIGHT_WORD: Record<NightState, string> = {
  made: 'made',
  partly: 'in some destinations only',
  failed: 'failed',
  missing: 'missing',
  waiting: 'tonight',
  before: 'before the first backup',
};

/** Whether each night's backup was made. */
export function nightsPanel(nights: readonly Night[]): Html {
  const count = (state: NightState) => nights.filter((night) => night.state === state).length;
  const words = (['made', 'partly', 'failed', 'missing'] as const)
    .filter((state) => state === 'made' || count(state) > 0)
    .map((state) => `${count(state)} ${NIGHT_WORD[state]}`);
  const odd = nights.filter(({ state }) => state !== 'made' && state !== 'before' && state !== 'waiting');
  const body = html`<div class="nights" role="img" aria-label="${plural(nights.length, 'night')}: ${words.join(', ')}">
      ${nights.map(({ day, state }) => html`<i class="${state}" title="${day}: ${NIGHT_WORD[state]}"></i>`)}
    </div>
    <p class="row small muted span"><span>${nights[0]?.day}</span><span class="push">today</span></p>
    ${
      odd.length > 0 &&
      html`<ul class="plain small odd">
        ${odd.map(
          ({ day, state, runId }) =>
            html`<li>
              ${day}: ${runId ? html`<a class="link" href="/operations/runs/${runId}">${NIGHT_WORD[state]}</a>` : NIGHT_WORD[state]}
            </li>`,
        )}
      </ul>`
    }`;
  return panel(`Nightly backups, ${nights.length} days`, body, {
    aside: html`<span class="muted small">${nights.every(({ state }) => state === 'before' || state === 'waiting') ? 'the first one is still to come' : words.join(' · ')}</span>`,
    id: 'nights',
  });
}
