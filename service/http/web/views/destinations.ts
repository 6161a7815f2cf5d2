import { newestAge, verifiedAge } from '../../../jobs/ages.ts';
import type { BackupStatus, DestinationStatus, Restored } from '../../../jobs/types.ts';
import { duration, plural, size } from '../format.ts';
import { html, type Html } from '../html.ts';
import { chip, icon, panel, time, withCode, type IconName, type Tone, type View } from './parts.ts';

/** Of the age alone: what is wrong with a destination stands in words below it. */
const MARK: Record<'ok' | 'late' | 'never', { icon: IconName; tone: Tone }> = {
  ok: { icon: 'tick', tone: 'ok' },
  late: { icon: 'triangle', tone: 'warn' },
  never: { icon: 'question', tone: 'warn' },
};

const HOW = { ciphertext: 'every byte read again', restored: 'a database was made of it' } as const;

/** Each destination by itself: one that is well does not hide one that is not. */
export function destinationPanel(
  view: View,
  { destinations, budgetSeconds }: BackupStatus,
  restored: Restored | null,
): Html {
  const shown: Shown = { budgetSeconds, restored, same: destinations.every(({ sameDisk }) => sameDisk) };
  const body =
    destinations.length === 0
      ? html`<p class="empty">No destination is configured.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Destinations">
          <table class="log destinations">
            <thead>
              <tr>
                <th scope="col">Where</th>
                <th scope="col">Newest verified</th>
                <th scope="col">Newest sent</th>
                <th scope="col">Kept there</th>
              </tr>
            </thead>
            <tbody>
              ${destinations.map((one, index) => destinationRow(view, one, index + 1, shown))}
            </tbody>
          </table>
        </div>`;
  return panel('Destinations', body, { bare: true, id: 'destinations' });
}

interface Shown {
  budgetSeconds: number;
  restored: Restored | null;
  /** Every destination is on the disk of the database: nothing here is well. */
  same: boolean;
}

function destinationRow(view: View, destination: DestinationStatus, number: number, shown: Shown): Html {
  // What was found out in the time that a restore gave up is gone; what is older was put back with the database.
  const old = (at: string) =>
    shown.restored !== null && at < shown.restored.restoredAt && ', as of the backup';
  const { url, sameDisk, newest, total, error } = destination;
  const newestSeconds = newestAge(destination, view.now);
  return html`<tr id="destination-${number}">
    <td data-label="Where">
      <span
        ><code class="breakable">${url}</code>
        ${sameDisk && html`<br />${chip(view, 'warn', 'triangle', 'same disk: not a backup', 'It does not survive what the database does not survive.')}`}</span
      >
    </td>
    <td data-label="Newest verified">${ageCell(view, destination, shown)}</td>
    <td data-label="Newest sent">
      ${
        newest === null
          ? html`<span class="muted">none yet</span>`
          : html`<span
              >${newestSeconds === null ? null : `${duration(newestSeconds)} ago`}<br /><span class="muted small"
                ><span class="word">${newest.kind}</span>, ${size(newest.bytes)}${old(newest.takenAt)}</span
              ></span
            >`
      }
    </td>
    <td data-label="Kept there">
      ${
        total === null
          ? html`<span class="muted">not listed yet</span>`
          : html`<span
              >${plural(total.backups, 'backup')}<br /><span class="muted small"
                >${size(total.bytes)}, listed ${time(view, total.at)}${old(total.at)}</span
              ></span
            >`
      }
    </td>
  </tr>
  ${
    error &&
    html`<tr class="why">
      <td colspan="4">
        <p class="bad">${icon(view, 'cross', 'bad')} ${error.message} <span class="muted small">${time(view, error.at)}</span></p>
        <p>${withCode(error.hint)}</p>
      </td>
    </tr>`
  } `;
}

/** The age as words and as a bar that is full at the budget. */
function ageCell(view: View, destination: DestinationStatus, { budgetSeconds, same }: Shown): Html {
  const age = verifiedAge(destination, view.now);
  const { icon: name, tone } = MARK[age === null ? 'never' : age > budgetSeconds || same ? 'late' : 'ok'];
  if (age === null) return html`<span class="${tone}">${icon(view, name)} none yet</span>`;
  const how = destination.verified?.how;
  const percent = Math.min(100, Math.round((age / budgetSeconds) * 100));
  return html`<span class="age">
    <span class="${tone}">${icon(view, name)} ${duration(age)} old</span
    ><span class="muted small">, budget ${duration(budgetSeconds)}</span>
    <progress class="${tone}" max="100" value="${percent}" aria-label="Age against its budget"></progress>
    ${how && html`<span class="muted small">${HOW[how]}</span>`}
  </span>`;
}
