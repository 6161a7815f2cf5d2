import type { ShownFile } from '../../../chat/attachments/attachments.ts';
import { goneText, type Gap } from '../../../chat/messages/gaps.ts';
import type { MessageView, Part, SessionView } from '../../../chat/types.ts';
import { plural } from '../format.ts';
import { attribute, html, type Child, type Html } from '../html.ts';
import { markdownText, plainText } from './markdown.ts';
import {
  chip,
  copyButton,
  csrfField,
  fact,
  hiddenFields,
  icon,
  notice,
  panel,
  time,
  twin,
  type IconName,
  type View,
} from './parts.ts';
import { authorName, titleWords } from './sessions.ts';

/** `/sessions/{id}`: the transcript, the newest messages last, earlier ones behind a link. */

export interface TranscriptPage {
  session: SessionView;
  /** Null: the viewer sees that it is there, and no content. */
  messages: MessageView[] | null;
  /** What is known of the files that they name. */
  files: ReadonlyMap<string, ShownFile>;
  /** `seq` of the first message shown, where there are earlier ones. */
  earlier: number | null;
  /** Whether newer ones exist than those shown. */
  newer: boolean;
  /** Places among those shown whose messages are gone. */
  gone: readonly Gap[];
  names: ReadonlyMap<string, string>;
  may: { write: boolean; delete: boolean; share: boolean };
  /** Why the viewer does not read it: by break-glass they would, or no grant lets them. */
  hiddenBy: 'break-glass' | 'role';
  confirm: { what: 'session' } | { what: 'message'; message: MessageView } | null;
  refusal: { title: string; text: string } | null;
  draft: string;
}

export function transcriptPage(view: View, page: TranscriptPage): Html {
  const { session, messages } = page;
  return html`<div class="row head">
      <h1>${session.title ?? titleWords(session)}</h1>
      ${chip(view, 'plain', null, session.class)}
      <span class="push row"
        >${page.may.share && html`<a class="btn" href="/sessions/${session.id}/access">Share</a>`}${page.may.delete && deleteButton(view, session)}</span
      >
    </div>
    ${page.refusal && notice(view, 'bad', page.refusal.title, html`<p>${page.refusal.text}</p>`, 'result')}
    ${page.confirm && confirmNotice(view, page)}
    <div class="two transcript-page">
      <div class="stack">
        ${messages === null ? hidden(page) : transcript(view, page, messages)}
        ${page.may.write && !page.newer && (session.keysLostAt === undefined ? writeForm(view, page) : closed(page))}
      </div>
      <div class="stack">${panel('Session', facts(view, page))}${tools(view, session)}</div>
    </div>`;
}

/** In the place of the form: its keys are gone, and what is written would need them. */
function closed({ may }: TranscriptPage): Html {
  return html`<section class="panel" id="write"><div class="empty">
      <p class="strong">Nothing can be written here any more</p>
      <p>
        The keys of this session were given up as lost, so it cannot be added to or exported. <a class="link" href="/sessions">Begin
        a new session</a>${may.delete ? ', or delete this one' : null}. If the old keyring turns up, an operator takes it in with
        <code>npx factory keys found</code>, and this session goes on.
      </p>
    </div></section>`;
}

function hidden({ session, hiddenBy }: TranscriptPage): Html {
  if (hiddenBy === 'role')
    return html`<section class="panel"><p class="empty">
        Messages of this session are not for your role, and no grant changes that: owners, planners and reviewers can be let in by
        whose session it is.
      </p></section>`;
  return html`<section class="panel"><div class="empty">
      <p class="strong">This session is somebody else’s</p>
      <p>
        The policy hides it from owners. Ask whose it is to share it with you, or
        <a class="link" href="/governance/grants?session=${session.id}#break-glass">ask for break-glass</a> with a reason.
      </p>
    </div></section>`;
}

function transcript(view: View, page: TranscriptPage, messages: MessageView[]): Html {
  const { session, earlier, newer } = page;
  const gone = [...page.gone];
  if (messages.length === 0)
    return html`<section class="panel"><p class="empty">
        ${session.lastSeq === 0 ? 'Nobody wrote here yet.' : 'All messages of this session are gone.'}
      </p></section>`;
  let day = '';
  const shown = messages.map((message) => {
    const mark = message.createdAt.slice(0, 10);
    const isNew = mark !== day;
    day = mark;
    const before = gone[0] && gone[0].from < message.seq ? goneItem(gone.shift()!) : null;
    return html`${before}${isNew && html`<li class="day"><span>${mark}</span></li>`}${messageItem(view, page, message)}`;
  });
  return html`<section class="panel transcript" aria-label="Messages">
    ${earlier !== null && html`<p class="more"><a class="link" href="/sessions/${session.id}?before=${earlier}">Earlier messages</a></p>`}
    <ol class="plain messages" id="messages" data-session="${session.id}">
      ${shown}${gone.map(goneItem)}
    </ol>
    ${newer && html`<p class="more"><a class="link" href="/sessions/${session.id}">Newest messages</a></p>`}
  </section>`;
}

const goneItem = (gap: Gap): Html => html`<li class="gone muted small">${goneText(gap)}</li>`;

const ROLE: Record<MessageView['role'], { icon: IconName; name: string }> = {
  user: { icon: 'person', name: 'User' },
  assistant: { icon: 'mark', name: 'Assistant' },
  system: { icon: 'shield', name: 'System' },
  tool: { icon: 'terminal', name: 'Tool' },
};

function messageItem(view: View, page: TranscriptPage, message: MessageView): Html {
  const { session, names, may } = page;
  const { seq, role, author, createdAt, subjectId } = message;
  const { icon: shape, name } = ROLE[role];
  return html`<li class="message ${role}" id="m${seq}">
    <header class="row small">
      ${chip(view, role === 'assistant' ? 'info' : 'plain', shape, name)}
      <span class="muted">${authorName(names, author.id)}</span>
      ${subjectId !== session.subjectId && html`<span class="muted">about ${subjectId}</span>`}
      <a class="muted" href="#m${seq}" title="Message ${seq}">${time(view, createdAt)}</a>
      ${
        may.delete &&
        html`<form method="post" action="/sessions/${session.id}/messages/${seq}/delete" class="push">
          ${csrfField(view)}<button class="btn small quiet" aria-label="Delete message ${seq}">Delete</button>
        </form>`
      }
    </header>
    ${message.parts.map((part) => partView(view, part, page))}
    ${redacted(view, message)}
    ${
      message.unreadable &&
      html`<p class="muted small">This message cannot be read any more: its key ${message.keysLostAt === undefined ? 'is gone' : html`was in the keyring that was given up as lost ${time(view, message.keysLostAt)}`}.</p>`
    }
  </li>`;
}

/** Which rules took something out, or held it back; the text has blocks or a placeholder in its place. */
function redacted(view: View, { findings = [] }: MessageView): Child {
  const rulesOf = (wanted: string): string[] => [
    ...new Set(findings.filter(({ action }) => action === wanted).map(({ rule }) => rule)),
  ];
  const said = {
    redact: 'Taken out before it was kept',
    quarantine: 'Held back until people decide',
    block: 'Held back, and not let in',
    allow: 'Let in after a decision',
  };
  return Object.entries(said).map(([action, text]) => {
    const rules = rulesOf(action);
    return (
      rules.length > 0 &&
      html`<p class="muted small">${icon(view, 'shield')} ${text}: ${rules.join(', ')}</p>`
    );
  });
}

function partView(view: View, part: Part, page: TranscriptPage): Html {
  switch (part.type) {
    case 'text':
      return html`<div class="markdown">${markdownText(part.text)}</div>`;
    case 'tool-call':
      return folded(
        view,
        'terminal',
        html`called <b>${part.name}</b> ${oneLine(part.arguments ?? part.input)}`,
        part.arguments ?? part.input,
        part.toolCallId,
      );
    case 'tool-result':
      if (part.output === undefined)
        return html`<p class="muted small">The output of ${part.name} was removed by retention.</p>`;
      return folded(
        view,
        part.isError ? 'cross' : 'tick',
        html`<b>${part.name}</b> ${part.isError ? 'failed' : 'answered'} ${oneLine(part.output)}`,
        part.output,
        part.toolCallId,
      );
    case 'attachment':
      return fileView(view, part, page);
  }
}

/** By the name that its message gives, else by its own. What waits is a short text in its place until people decide. */
function fileView(view: View, part: Part & { type: 'attachment' }, { session, files }: TranscriptPage): Html {
  const { attachmentId: id } = part;
  const { name = null, waits = false } = files.get(id) ?? {};
  return html`<p class="row small">
    ${chip(view, 'plain', 'file', html`<a class="link" href="/api/sessions/${session.id}/attachments/${id}">${part.name ?? name ?? 'attachment'}</a>`)}
    ${waits && chip(view, 'warn', 'clock', 'waits in quarantine', 'Its content is held back until people decide; this opens a short text in its place.')}
    <span class="muted">${part.mediaType}</span>
  </p>`;
}

/** A tool call on one line; what went in or came out behind one click. */
function folded(view: View, shape: IconName, summary: Child, value: unknown, callId: string): Html {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return html`<details class="tool">
    <summary>${icon(view, shape)}<span class="cut">${summary}</span></summary>
    ${text === undefined ? html`<p class="muted small">Nothing was given.</p>` : plainText(text)}
    <p class="row muted small">call ${callId} ${copyButton(view, text ?? '', 'content')}</p>
  </details>`;
}

function oneLine(value: unknown): Html | null {
  if (value === undefined) return null;
  const text = (typeof value === 'string' ? value : JSON.stringify(value))
    .replace(/\s+/g, ' ')
    .trim()
    .toWellFormed();
  return html`<span class="muted">${[...text.slice(0, 400)].slice(0, 120).join('')}${text.length > 120 && '…'}</span>`;
}

/** Lossless, and for other tools. */
const exportLink = ({ id }: SessionView, format: 'jsonl' | 'openai', label: string): Html =>
  html`<a class="link" href="/api/sessions/${id}/export?format=${format}" download>${label}</a>`;

function facts(view: View, { session, names, messages }: TranscriptPage): Html {
  return html`<dl class="facts">
    ${fact('Id', html`<code>${session.id}</code>${copyButton(view, session.id, 'id')}`)}
    ${fact('About', session.subjectId ?? html`<span class="muted">withheld: not yours to read</span>`)}
    ${session.itemId !== null && fact('Work item', html`<a class="link" href="/items/${session.itemId}">${session.itemId}</a>`)}
    ${fact('Begun by', authorName(names, session.author.id))} ${fact('Begun', time(view, session.createdAt))}
    ${fact('Readers', html`<a class="link" href="/sessions/${session.id}/access">Who may read it</a>`)}
    ${fact('Messages', plural(session.messages, 'message'))}
    ${session.keysLostAt !== undefined && fact('Keys', html`given up as lost ${time(view, session.keysLostAt)}: title and messages from before cannot be read`)}
    ${fact('Content', session.bytes === 0 ? '0' : `${Math.max(1, Math.round(session.bytes / 1024)).toLocaleString('en')} KiB`)}
    ${messages !== null && fact('Export', html`${exportLink(session, 'jsonl', 'JSON lines')}, ${exportLink(session, 'openai', 'OpenAI')}`)}
  </dl>`;
}

function tools(view: View, { id }: SessionView): Html {
  return twin(view, {
    curl: `curl "$FACTORY_URL/api/sessions/${id}/messages" -H "Authorization: Bearer $FACTORY_TOKEN"`,
  });
}

function deleteButton(view: View, { id }: SessionView): Html {
  return html`<form method="post" action="/sessions/${id}/delete">
    ${csrfField(view)}<button class="btn">Delete session</button>
  </form>`;
}

function confirmNotice(view: View, { session, confirm }: TranscriptPage): Html {
  const isSession = confirm?.what !== 'message';
  const url = isSession
    ? `/sessions/${session.id}/delete`
    : `/sessions/${session.id}/messages/${confirm.message.seq}/delete`;
  return notice(
    view,
    'warn',
    isSession ? 'Delete this session?' : `Delete message ${confirm.message.seq}?`,
    html`<p>
        ${
          isSession
            ? `Its ${plural(session.messages, 'message')} and its title go for ever: its keys are destroyed, so that backups cannot bring it back either.`
            : 'Its content goes for ever and does not come back with a restore; its place in the session stays empty.'
        }
      </p>
      <form method="post" action="${url}" class="row">
        ${csrfField(view)}${hiddenFields({ step: 'apply' })}
        <button class="btn danger">${isSession ? 'Delete session' : 'Delete'}</button>
        <a class="btn" href="/sessions/${session.id}">Keep it</a>
      </form>`,
    'confirm',
  );
}

function writeForm(view: View, { session, draft }: TranscriptPage): Html {
  return html`<form method="post" action="/sessions/${session.id}/messages" class="panel write" id="write">
    ${csrfField(view)}
    <label for="write-text">Write a message</label>
    <textarea id="write-text" name="text" rows="3" required ${attribute('data-submit', 'ctrl-enter')}>${draft}</textarea>
    <p class="row"><span class="muted small">Markdown is shown.</span><button class="btn main push">Send</button></p>
  </form>`;
}
