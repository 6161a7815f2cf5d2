import { pauseText } from '../../../restored/pause.ts';
import type { Restored, ShownReport } from '../../../jobs/types.ts';
import { plural } from '../format.ts';
import { html, type Html } from '../html.ts';
import {
  csrfField,
  fact,
  hiddenFields,
  inlineCommand,
  notice,
  panel,
  time,
  twin,
  withCode,
  type View,
} from './parts.ts';

/** After a restore in place: what drifted, and letting queue writes and jobs go on. */

const LABEL = 'Accept and go on';

/** Says what waits; the button leads to the report. */
export function restoredNotice(view: View, restored: Restored, mayRun: boolean): Html {
  const form = html`<form method="post" action="/operations/restore">
    ${csrfField(view)}<button class="btn main">Look at what drifted</button>
  </form>`;
  return notice(
    view,
    'warn',
    'A restore waits to be accepted.',
    html`<p>${withCode(pauseText(restored))}</p>
      ${mayRun && form}`,
    'restored',
  );
}

export function acceptedNotice(view: View): Html {
  const body = html`<p>
    Queue writes and jobs go on. A service that runs jobs makes a full backup at once; where none does:
    ${inlineCommand('npx factory backup --full')}
  </p>`;
  return notice(view, 'ok', 'The restore is accepted, and the audit log has it.', body, 'accepted');
}

/** The whole report, and the button that accepts exactly it. */
export function reportPanel(view: View, { pause, drifted, owed, digest }: ShownReport): Html {
  const { backupId, takenAt, restoredAt, by, why } = pause;
  const body = html`<dl class="facts">
      ${fact('Restored', html`<code class="breakable">${backupId}</code>, taken ${time(view, takenAt)}`)}
      ${fact('Done', html`${time(view, restoredAt)} by ${by}${why === 'undo' && ', as an undo'}`)}
      ${fact('Drifted', html`${plural(drifted.length, 'item')} whose files say something else, as the service last read them`)}
      ${fact('Waiting', plural(owed.length, 'queue write'))}
    </dl>
    ${
      drifted.length > 0 &&
      html`<ul class="plain">
        ${drifted.map(
          ({ id, lane, attention }) =>
            html`<li>${attention}: <a class="link" href="/items/${id}">${id}</a> <span class="muted">${lane}</span></li>`,
        )}
      </ul>`
    }
    ${
      owed.length > 0 &&
      html`<ul class="plain">
        ${owed.map(({ itemId, kind }) => html`<li>write ${kind}: <a class="link" href="/items/${itemId}">${itemId}</a></li>`)}
      </ul>`
    }
    <form method="post" action="/operations/restore" class="row">
      ${csrfField(view)}${hiddenFields({ digest })}
      <button class="btn main" name="step" value="apply" id="confirm-restore" autofocus>${LABEL}</button>
      <a class="btn quiet" href="/operations">Not now</a>
    </form>
    ${twin(view, { cli: `npx factory restore --accept ${digest}` })}`;
  return html`<div class="plan-of-job">${panel('What drifted since the restore', body, { id: 'report' })}</div>`;
}
