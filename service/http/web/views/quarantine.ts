import type { OriginalView, QuarantineView } from '../../../chat/quarantine/quarantine.ts';
import type { Part } from '../../../chat/types.ts';
import { shortId, size } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { partsNav } from './governance.ts';
import { plainText } from './markdown.ts';
import { chip, csrfField, fact, hiddenFields, notice, panel, time, twin, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** `/governance/quarantine`: what is held back, and the decision on it. */

export type Verdict = 'release' | 'reject';

export interface QuarantinePage {
  quarantined: QuarantineView[];
  nextCursor: string | null;
  names: ReadonlyMap<string, string>;
  mayDecide: boolean;
  /** What the viewer asked to read; that is in the audit log now. */
  opened: { of: QuarantineView; original: OriginalView } | null;
  confirm: { verdict: Verdict; of: QuarantineView; reason: string } | null;
  refusal: { title: string; text: string } | null;
  /** What was just done. */
  done: 'asked' | 'released' | 'rejected' | null;
}

const URL = '/governance/quarantine';

const DONE = {
  asked: 'The release is asked for.',
  released: 'It is let in, and stands in its session.',
  rejected: 'The original is removed for good.',
} as const;

export function quarantinePage(view: View, page: QuarantinePage): Html {
  const { quarantined, nextCursor } = page;
  return html`<div class="row head">
      <h1>Quarantine</h1>
      <span class="muted small">the newest first</span>
    </div>
    <div class="stack">
    ${partsNav(URL)} ${page.done && notice(view, 'ok', DONE[page.done], null, 'result')}
    ${page.refusal && notice(view, 'bad', page.refusal.title, html`<p>${page.refusal.text}</p>`, 'result')}
    ${page.confirm && confirmNotice(view, page.confirm)}${page.opened && openedPanel(page.opened)}
      ${
        quarantined.length === 0
          ? emptyState()
          : panel(
              'Waiting',
              html`<ul class="plain lines">${quarantined.map((one) => row(view, one, page))}</ul>${
                nextCursor !== null &&
                html`<p class="more"><a class="link" href="${URL}?cursor=${encodeURIComponent(nextCursor)}">Older ones</a></p>`
              }`,
            )
      }
      ${twin(view, {
        curl: 'curl "$FACTORY_URL/api/governance/quarantine" -H "Authorization: Bearer $FACTORY_TOKEN"',
        cli: 'npx factory governance quarantine',
      })}
    </div>`;
}

function emptyState(): Html {
  return html`<section class="panel"><div class="empty">
      <p class="strong">Nothing waits for a decision</p>
      <p>
        Where the policy of a class says <code>quarantine</code>, a message, title or file with sensitive data leaves a placeholder in
        its session, and waits here until two people let it in or one removes it. By itself nothing is held back.
      </p>
    </div></section>`;
}

const rulesOf = ({ findings }: QuarantineView): string[] => [
  ...new Set(findings.filter(({ action }) => action === 'quarantine').map(({ rule }) => rule)),
];

const what = ({ kind, messageId }: QuarantineView): string => {
  const message = messageId === null ? null : `message ${messageId.split('.').at(-1)}`;
  if (kind === 'file') return message === null ? 'a file that no message names' : `a file of ${message}`;
  return message ?? 'a title';
};

const linkTo = ({ sessionId, messageId }: QuarantineView): string =>
  `/sessions/${sessionId}${messageId === null ? '' : `#m${messageId.split('.').at(-1)}`}`;

function row(view: View, one: QuarantineView, { names, mayDecide }: QuarantinePage): Html {
  const { id, state, author, createdAt, approvedBy, approvedAt, reason, releasableFrom } = one;
  const asked = state === 'approved';
  return html`<li id="q-${id}"><div class="stack">
    <p class="row">
      ${chip(view, asked ? 'info' : 'warn', 'clock', asked ? 'waits for a second person' : 'waits')}
      <a class="strong" href="${linkTo(one)}">${what(one)}</a>
      <span>in <a class="link" href="/sessions/${one.sessionId}">session <span class="mono">${shortId(one.sessionId)}</span></a></span>
      <span class="muted small">of class ${one.class}, ${authorName(names, author.id)}, ${time(view, createdAt)}</span>
    </p>
    <dl class="facts">
      ${fact('Rules', rulesOf(one).join(', '))}${fact('Places', places(one))}
      ${
        asked &&
        html`${fact('Asked for', html`${authorName(names, approvedBy ?? '')}, ${approvedAt && time(view, approvedAt)}`)}${fact('Reason', reason)}`
      }
      ${releasableFrom !== null && fact('Alone from', time(view, releasableFrom))}
    </dl>
    ${
      mayDecide &&
      html`<div class="row">
        ${button(view, `${URL}/${id}/read`, 'Read', what(one))}
        ${button(view, `${URL}/${id}/release`, asked ? 'Agree' : 'Let in', what(one))}
        ${button(view, `${URL}/${id}/reject`, 'Remove', what(one))}
      </div>`
    }
  </div></li>`;
}

/** A text full of secrets has more places than anybody looks at. */
const MOST_PLACES = 10;

function places({ findings }: QuarantineView): string {
  const held = findings.filter(({ action }) => action === 'quarantine');
  const shown = held.slice(0, MOST_PLACES).map(({ part, start, end }) => `part ${part}: ${start} to ${end}`);
  const more = held.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function openedPanel({ of, original }: NonNullable<QuarantinePage['opened']>): Html {
  return html`<section class="panel" id="original">
    <header><h2>The original of ${what(of)}</h2></header>
    <div class="body">
      <p class="muted small">That you read it is in the audit log.</p>
      ${originalText(of.id, original)}
    </div>
  </section>`;
}

function originalText(id: string, original: OriginalView): Child {
  if ('title' in original) return plainText(original.title);
  if ('parts' in original) return original.parts.map(partText);
  const { name, mediaType, bytes } = original.file;
  return html`<p>
      ${plainText(name ?? 'A file without a name')}
      <span class="muted">${mediaType}, ${size(bytes)}</span>
    </p>
    <p><a class="btn" href="/api/governance/quarantine/${id}/original/content">Download it</a></p>`;
}

const partText = (part: Part): Child =>
  plainText(part.type === 'text' ? part.text : JSON.stringify(part, null, 2));

function confirmNotice(view: View, { verdict, of, reason }: NonNullable<QuarantinePage['confirm']>): Html {
  const asked = of.state === 'approved';
  const question = {
    release: asked
      ? {
          title: `Let ${what(of)} in?`,
          text: `The original takes its place in the session, and whoever reads the session reads it. Reason so far: ${of.reason}`,
          label: 'Let in',
        }
      : {
          title: `Ask to let ${what(of)} in?`,
          text: 'A second person has to agree before anything is shown. Say why, without the content.',
          label: 'Ask for the release',
        },
    reject: {
      title: `Remove the original of ${what(of)} for good?`,
      text: `Nothing brings it back, no backup either. ${of.kind === 'file' ? 'The message that names it stays.' : 'The placeholder stays.'}`,
      label: 'Remove',
    },
  }[verdict];
  return notice(
    view,
    'warn',
    question.title,
    html`<p>${question.text}</p>
      <form method="post" action="${URL}/${of.id}/${verdict}">
        ${csrfField(view)}${hiddenFields({ step: 'apply' })}
        <div class="field">
          <label for="reason">Reason</label
          ><input type="text" id="reason" name="reason" maxlength="1000" required autocomplete="off" value="${reason}" />
        </div>
        <div class="row">
          <button class="btn ${verdict === 'reject' ? 'danger' : 'main'}">${question.label}</button>
          <a class="btn quiet" href="${URL}">Not now</a>
        </div>
      </form>`,
    'confirm',
  );
}

function button(view: View, url: string, label: string, of: string): Html {
  return html`<form method="post" action="${url}">
    ${csrfField(view)}<button class="btn small" aria-label="${label} ${of}">${label}</button>
  </form>`;
}
