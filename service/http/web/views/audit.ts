import type { AuditEntry, AuditQuery, AuditStatus } from '../ports.ts';
import { absolute, plural, shortId } from '../format.ts';
import { flag, html, type Html } from '../html.ts';
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
  type View,
} from './parts.ts';

/** As typed. */
export interface AuditFilter {
  actor?: string;
  action?: string;
  object?: string;
  outcome?: string;
  from?: string;
  to?: string;
}

export interface AuditPage {
  status: AuditStatus;
  entries: AuditEntry[];
  nextCursor: string | null;
  filter: AuditFilter;
  /** What the filter was taken for. */
  asked: Omit<AuditQuery, 'cursor' | 'limit'>;
  /** The answer of a verification that this page was asked for. */
  verified: { ok: boolean; size: number; root: string; problems: readonly unknown[] } | null;
  /** Names of people and tokens, by id. */
  names: ReadonlyMap<string, string>;
}

export function auditPage(view: View, page: AuditPage): Html {
  const { status, verified } = page;
  return html`<div class="row head">
      <h1>Audit</h1>
      <span class="muted small">${plural(status.size, 'entry', 'entries')}</span>
      <form
        class="push"
        method="post"
        action="/audit/verify"
        hx-post="/audit/verify"
        hx-target="#main"
        hx-select="#main"
        hx-disabled-elt="find button"
      >
        ${csrfField(view)}<button class="btn main" id="verify">Verify</button>
      </form>
    </div>
    ${verified && verification(view, verified)}
    <div class="stack">
      ${panel('Tree', tree(view, status), { aside: status.ok ? chip(view, 'ok', 'tick', 'consistent') : chip(view, 'bad', 'cross', 'inconsistent') })}
      ${panel('Entries', html`${filterForm(page.filter)}${filterText(page)}${entryTable(view, page)}`, { bare: true })}
    </div>`;
}

function verification(view: View, { ok, size, root, problems }: NonNullable<AuditPage['verified']>): Html {
  if (ok) {
    return notice(
      view,
      'ok',
      `The whole log was read again: ${plural(size, 'entry', 'entries')}, nothing was changed.`,
      html`<p class="small">root <code class="breakable">${root}</code></p>`,
      'result',
    );
  }
  return notice(
    view,
    'bad',
    `The log does not verify: ${plural(problems.length, 'problem')} in ${plural(size, 'entry', 'entries')}.`,
    html`<ul class="plain">
        ${problems.slice(0, 50).map((problem) => html`<li><code>${problemText(problem)}</code></li>`)}
      </ul>
      <p>
        Keep the database as it is, and compare it with a backup and with the newest checkpoint kept elsewhere
        (<code>npx factory verify-audit --checkpoint FILE</code>).
      </p>`,
    'result',
  );
}

function problemText(problem: unknown): string {
  return typeof problem === 'string' ? problem : JSON.stringify(problem);
}

function tree(view: View, { size, root, checkpointAt, problem }: AuditStatus): Html {
  return html`<dl class="facts wide">
      ${fact('Size', size.toLocaleString('en'))}${fact('Root', html`<code class="breakable">${root}</code>${copyButton(view, root, 'root')}`)}${fact(
        'Checkpoint',
        checkpointAt === null ? 'none yet' : time(view, checkpointAt),
      )}${problem && fact('Problem', html`<span class="bad">${problem}</span>`)}
    </dl>
    ${twin(view, { cli: 'npx factory verify-audit', curl: 'curl "$FACTORY_URL/api/audit/entries" -H "Authorization: Bearer $FACTORY_TOKEN"' })}`;
}

function filterForm(filter: AuditFilter): Html {
  const field = (name: 'actor' | 'action' | 'object', label: string, hint: string) =>
    html`<div class="field">
      <label for="filter-${name}">${label}</label
      ><input
        type="text"
        id="filter-${name}"
        name="${name}"
        value="${filter[name]}"
        placeholder="${hint}"
        autocomplete="off"
        spellcheck="false"
      />
    </div>`;
  return html`<form class="filters" action="/audit">
    ${hiddenFields({ from: filter.from, to: filter.to })}${field('actor', 'Actor', 'name or id')}${field('action', 'Action', 'e.g. claim')}${field('object', 'Object', 'e.g. BF-106')}
    <div class="field">
      <label for="filter-outcome">Outcome</label
      ><select id="filter-outcome" name="outcome">
        ${OUTCOMES.map(
          ([outcome, text]) =>
            html`<option value="${outcome}" ${flag('selected', outcome === (filter.outcome ?? ''))}>
              ${text}
            </option>`,
        )}
      </select>
    </div>
    <button class="btn">Filter</button
    >${isFiltered(filter) && html`<a class="btn quiet" href="/audit">All entries</a>`}
  </form>`;
}

const NAMED_ACTORS = 8;
const OUTCOMES = [
  ['', 'any'],
  ['applied', 'applied'],
  ['refused', 'refused, for any reason'],
] as const;

/** What the filter was taken for, as names become ids and a short action its whole name. */
function filterText({ filter, asked, names }: AuditPage): Html | null {
  if (!isFiltered(filter)) return null;
  const { actors = [], action, object, outcome, from, to } = asked;
  const parts = [
    actors.length > 0 && html`by ${actorNames(actors, names)}`,
    action && html`action <code>${action}</code>`,
    object && html`object <code>${names.get(object) ?? object}</code>`,
    outcome && html`outcome ${outcome}${outcome === 'refused' && '; the last column names the reason'}`,
    from && `from ${absolute(from)} on`,
    to && `until ${absolute(to)}`,
  ].filter(Boolean);
  return html`<p class="asked muted small">
    Entries ${parts.map((part, index) => html`${index > 0 && ' · '}${part}`)}
  </p>`;
}

/** A person's tokens of years are looked for, not all named. */
function actorNames(actors: readonly string[], names: AuditPage['names']): Html {
  const shown = actors.slice(0, NAMED_ACTORS);
  const more = actors.length - shown.length;
  return html`${shown.map((id, index) => html`${index > 0 && ', '}<span title="${id}">${names.get(id) ?? id}</span>`)}${
    more > 0 && ` and ${plural(more, 'other')}`
  }`;
}

function isFiltered(filter: AuditFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined && value !== '');
}

function entryTable(view: View, { entries, nextCursor, filter, names }: AuditPage): Html {
  if (entries.length === 0)
    return html`<p class="empty">No entry matches. <a href="/audit">All entries</a></p>`;
  const parameters = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  if (nextCursor) parameters.set('cursor', nextCursor);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Entries">
      <table class="log">
        <thead>
          <tr>
            <th scope="col" class="n">Entry</th>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">Action</th>
            <th scope="col">Object</th>
            <th scope="col">Outcome</th>
          </tr>
        </thead>
        <tbody>
          ${entries.map((entry) => entryRow(view, entry, names))}
        </tbody>
      </table>
    </div>
    ${nextCursor && html`<p class="more"><a class="btn" rel="next" href="/audit?${parameters.toString()}">Older entries</a></p>`}`;
}

function entryRow(view: View, { seq, leaf, event }: AuditEntry, names: AuditPage['names']): Html {
  if (leaf === null) {
    return html`<tr>
      <td class="n">${seq}</td>
      <td colspan="5" class="bad">${icon(view, 'cross')} What is stored here is no entry any more; Verify says more.</td>
    </tr> `;
  }
  const { at, actor, action, object, outcome, code } = leaf;
  const who =
    names.get(actor.id) ?? (actor.kind === 'system' ? 'system' : `${actor.kind} ${shortId(actor.id)}`);
  return html`<tr>
    <td class="n" data-label="Entry">
      <details class="leaf"><summary>${seq}</summary></details>
    </td>
    <td data-label="When"><time datetime="${at}" title="${absolute(at)}">${absolute(at).slice(0, 19)}</time></td>
    <td data-label="Who" title="${actor.id}">${who}</td>
    <td data-label="Action"><code>${action}</code>${eventWords(action, event)}</td>
    <td data-label="Object">${object && objectLink(object, names)}</td>
    <td data-label="Outcome">
      ${
        outcome === 'refused'
          ? chip(view, 'bad', 'cross', code ?? outcome)
          : chip(view, 'ok', 'tick', outcome)
      }
    </td>
  </tr>
  <tr class="json">
    <td colspan="6"><pre tabindex="0">${JSON.stringify(leaf, null, 2)}</pre></td>
  </tr> `;
}

/** What the action did in this entry, as one action can do several things; nothing where its name says it. */
function eventWords(action: string, event: string | null): Html | null {
  if (event === null || action.endsWith(event)) return null;
  return html` <span class="muted">${event.replaceAll('-', ' ')}</span>`;
}

function objectLink({ kind, id }: { kind: string; id: string }, names: AuditPage['names']): Html {
  if (id.startsWith('wi-')) return html`<a class="link mono" href="/items/${id}">${id}</a>`;
  if (kind === 'policy') return html`<span title="${id}">policy ${policyPacks(id)}</span>`;
  return html`<span title="${id}">${kind} ${names.get(id) ?? shortId(id)}</span>`;
}

/** `strict → baseline` of the packs and digests that a change of the policy is named by. */
function policyPacks(id: string): string {
  const packs = id.split('..').map((policy) => policy.split(':')[0]);
  return [...new Set(packs)].join(' → ');
}
