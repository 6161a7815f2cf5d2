import type { ErasureView } from '../../../chat/erasure/erasures.ts';
import type { GrantView } from '../../../chat/grants/granting.ts';
import type { HoldView } from '../../../chat/holds/holding.ts';
import type { PolicyDocument } from '../../../chat/policies.ts';
import type { ClassPolicy, GeneralPolicy, Keeping, Kind } from '../../../chat/policy.ts';
import type { QuarantineView } from '../../../chat/quarantine/quarantine.ts';
import { keepingOf } from '../../../chat/retention/retention.ts';
import { plural } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { pendingNotice } from './break-glass-off.ts';
import type { FrameView } from './frame.ts';
import { granteeName, stateChip } from './grant-rows.ts';
import { chip, fact, panel, time, twin, type View } from './parts.ts';

/** `/governance`: an overview, each part with the way to its page. */

export interface GovernancePage {
  holds: HoldView[];
  erasures: ErasureView[];
  /** Those in force and those that wait. */
  grants: GrantView[];
  quarantined: QuarantineView[];
  policy: PolicyDocument;
  names: ReadonlyMap<string, string>;
  mayManage: boolean;
  preset: 'solo' | 'team';
  /** Of each list, so many were read. */
  most: number;
}

const WEEK_MS = 7 * 86_400_000;
/** On the overview; the page of grants has all. */
const SHOWN = 10;

/** Pages that there are; a part that has none is not linked to. */
const PARTS = [
  { url: '/governance', label: 'Overview' },
  { url: '/governance/policies', label: 'Policies' },
  { url: '/governance/retention', label: 'Retention' },
  { url: '/governance/holds', label: 'Holds' },
  { url: '/governance/erasures', label: 'Erasures' },
  { url: '/governance/quarantine', label: 'Quarantine' },
  { url: '/governance/grants', label: 'Grants' },
] as const;

export function partsNav(current: (typeof PARTS)[number]['url']): Html {
  return html`<nav class="row" aria-label="Governance">
    ${PARTS.map(({ url, label }) => html`<a class="btn small" href="${url}" ${url === current && html` aria-current="page"`}>${label}</a>`)}
  </nav>`;
}

export function governancePage(view: FrameView, page: GovernancePage): Html {
  return html`<div class="row head"><h1>Governance</h1></div>
    <div class="stack">
      ${partsNav('/governance')} ${pendingNotice(view, page.policy.pending, { ...page, me: view.principal?.personId })} ${tiles(view, page)} ${presetPanel(view, page)} ${grantsPanel(view, page)}
      ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/policies" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance policies' })}
    </div>`;
}

function tiles(view: View, { holds, erasures, grants, quarantined, most }: GovernancePage): Html {
  const running = erasures.filter(({ status }) => status === 'running').length;
  const waiting = erasures.filter(({ status }) => status === 'partial-held').length;
  const asked = quarantined.filter(({ state }) => state === 'approved').length;
  const given = grants.filter(({ kind, state }) => kind === 'session' && state === 'active');
  const ending = given.filter(({ expiresAt }) => Date.parse(expiresAt) - view.now < WEEK_MS).length;
  const glass = grants.filter(({ kind }) => kind === 'break-glass');
  const undecided = glass.filter(({ state }) => state === 'requested').length;
  const counted = (list: readonly unknown[]) => (list.length >= most ? `${most} or more` : list.length);
  return html`<section class="tiles" aria-label="At a glance">
    ${tile('/governance/holds', 'Holds in force', counted(holds), 'kept from every deletion')}
    ${tile('/governance/erasures', 'Erasures', running + waiting, waiting === 0 ? `${running} running` : `${waiting} waiting for a hold, ${running} running`)}
    ${tile('/governance/quarantine', 'Quarantine', counted(quarantined), asked === 0 ? 'waiting for a decision' : `waiting, ${asked} for a second person`)}
    ${tile('/governance/grants', 'Grants in force', given.length, ending === 0 ? 'sessions that others may read' : `${ending} ending within a week`)}
    ${tile('/governance/grants', 'Break-glass', glass.length, undecided === 0 ? 'in force' : `${undecided} waiting for another owner`)}
  </section>`;
}

function tile(url: string, label: string, value: Child, text: string): Html {
  return html`<a class="panel tile" href="${url}"><span class="muted">${label}</span><b>${value}</b><span class="muted small">${text}</span></a>`;
}

const KIND_WORDS: Record<Kind, string> = {
  message: 'Messages are',
  toolOutput: 'Tool output is',
  attachment: 'Attachments are',
  export: 'Exports are',
};

/** `Tool output is kept 90 days, then 14 days in the bin.` */
export function keepingText(kind: Kind, { days, binDays }: Keeping): string {
  if (days === null) return `${KIND_WORDS[kind]} kept for ever.`;
  return `${KIND_WORDS[kind]} kept ${plural(days, 'day')}, then ${binDays === 0 ? 'purged by the next plan' : `${plural(binDays, 'day')} in the bin`}.`;
}

/** How long each kind is kept, within the limits for all. Exports are streamed and never kept. */
export function keepingLines(policy: ClassPolicy, general: GeneralPolicy): Html {
  const kinds = (Object.keys(KIND_WORDS) as Kind[]).filter((kind) => kind !== 'export');
  return html`<ul class="plain">
    ${kinds.map((kind) => html`<li>${keepingText(kind, keepingOf(kind, policy, general))}</li>`)}
  </ul>`;
}

function presetPanel(view: View, { policy }: GovernancePage): Html {
  const { general, classes } = policy;
  const quotas = Object.values(general.quotas).filter((limit) => limit !== null).length;
  const body = html`<div class="stack"><dl class="facts">
      ${fact(
        'Sessions of others',
        general.breakGlass ? chip(view, 'info', 'shield', 'by break-glass only') : 'owners read them',
      )}
      ${fact('Quotas', quotas === 0 ? 'none: a subject or session takes what it likes' : `${plural(quotas, 'limit')} in force`)}
    </dl>
    ${Object.entries(classes).map(([name, one]) => classText(name, one, general))}</div>`;
  const version = policy.version === 0 ? 'as installed' : `version ${policy.version}`;
  const aside = html`<span class="muted small">${version} · <a class="link" href="/governance/policies">All policies</a></span>`;
  return panel('Policies', body, { aside, id: 'policies' });
}

const VERDICT_WORDS: Record<ClassPolicy['sensitive']['secrets'], string> = {
  allow: 'are let in',
  redact: 'are taken out',
  quarantine: 'are held back until people decide',
  block: 'are refused',
};

function classText(name: string, policy: ClassPolicy, general: GeneralPolicy): Html {
  const { secrets, personal, nationalIds } = policy.sensitive;
  return html`<div><h3>Class <code>${name}</code></h3>
    ${keepingLines(policy, general)}<ul class="plain">
      <li>Secrets ${VERDICT_WORDS[secrets]}, personal data ${VERDICT_WORDS[personal]}, national ids ${VERDICT_WORDS[nationalIds]}.</li>
    </ul></div>`;
}

function grantsPanel(view: View, { grants, names }: GovernancePage): Html {
  const aside = html`<a class="link" href="/governance/grants">All grants</a>`;
  const nobody = html`<p class="empty">Nobody was let into a session that is not theirs.</p>`;
  if (grants.length === 0) return panel('Who was let in', nobody, { bare: true, aside });
  const rows = grants.slice(0, SHOWN).map((grant) => {
    const { id, kind, grantee, sessionId, reason, expiresAt } = grant;
    return html`<li>
      <span class="row"
        >${stateChip(view, grant)}<a class="strong" href="/governance/grants#grant-${id}">${granteeName(names, grantee)}</a
        >${sessionId === null ? html`<span>every session</span>` : html`<a class="link" href="/sessions/${sessionId}">one session</a>`}${
          kind === 'break-glass' && chip(view, 'plain', 'shield', kind)
        }</span
      ><span class="small muted">${reason} · ends ${time(view, expiresAt)}</span>
    </li>`;
  });
  return panel('Who was let in', html`<ul class="plain lines">${rows}</ul>`, { id: 'grants', aside });
}
