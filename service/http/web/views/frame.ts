import { clip } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import type { FrameFacts } from '../ports.ts';
import type { Principal } from '../../../work-items/types.ts';
import { csrfField, icon, type IconName, type Tone, type View } from './parts.ts';

export type Place = 'board' | 'sessions' | 'governance' | 'operations' | 'audit' | 'people' | 'api' | null;

const PRODUCT = 'Build Factory';

export interface Page {
  title: string;
  place: Place;
  body: Child;
  /** Set on pages of one item: what events refresh it, what the palette offers. */
  item?: { id: string; version: number };
  /** Set on pages that the events of any item refresh. */
  live?: 'board' | 'item';
  /** Set on pages whose forms answer in place. */
  inPlace?: boolean;
}

export interface FrameView extends View {
  facts: FrameFacts;
  principal: Principal | null;
}

const PLACES: {
  place: Exclude<Place, null>;
  url: string;
  label: string;
  icon: IconName;
  /** Any of them; null: everybody. */
  permission: readonly string[] | null;
}[] = [
  { place: 'board', url: '/', label: 'Board', icon: 'board', permission: null },
  {
    place: 'sessions',
    url: '/sessions',
    label: 'Sessions',
    icon: 'chat',
    permission: ['factory.session.use', 'factory.session.metadata'],
  },
  {
    place: 'governance',
    url: '/governance',
    label: 'Governance',
    icon: 'shield',
    permission: ['factory.governance.read'],
  },
  {
    place: 'operations',
    url: '/operations',
    label: 'Operations',
    icon: 'pulse',
    permission: ['factory.operations.read'],
  },
  { place: 'audit', url: '/audit', label: 'Audit', icon: 'audit', permission: ['factory.audit.read'] },
  { place: 'people', url: '/people', label: 'People', icon: 'people', permission: ['factory.people.read'] },
  { place: 'api', url: '/api/docs', label: 'API', icon: 'api', permission: null },
];

/**
 * htmx without what a strict content security policy forbids, and without keeping pages in the browser's storage.
 * Answers with an error status are pages too: they say what to do next.
 */
const HTMX = JSON.stringify({
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  defaultSwapStyle: 'outerHTML',
  scrollIntoViewOnBoost: false,
  responseHandling: [{ code: '...', swap: true }],
});

function rail(view: FrameView, current: Place): Html {
  const { health, release } = view.facts;
  const marks = {
    starting: ['clock', 'plain'],
    ok: ['tick', 'ok'],
    degraded: ['triangle', 'warn'],
    failing: ['cross', 'bad'],
  } as const;
  const [mark, tone] = marks[health.status];
  const places = PLACES.filter(
    ({ permission }) => permission?.some((one) => view.principal?.permissions.has(one)) ?? true,
  );
  return html`<nav class="rail" aria-label="Main">
    <a class="brand" href="/">${icon(view, 'mark')}<span>${PRODUCT}</span></a>
    ${places.map(
      ({ place, url, label, icon: name }) =>
        html`<a href="${url}" data-page="${label}" ${place === current && html` aria-current="page"`}
          >${icon(view, name)}<span>${label}</span></a
        > `,
    )}
    <div class="foot">
      <span class="${tone}">${icon(view, mark)} ${health.text}</span><span>release ${release}</span>
    </div>
  </nav>`;
}

const ENVIRONMENT_TONE: Record<FrameFacts['environment'], Tone> = {
  production: 'bad',
  staging: 'warn',
  development: 'plain',
};

function account(view: FrameView, principal: Principal): Html {
  return html`<details class="menu">
    <summary class="chip">
      ${icon(view, 'person')}<span>${principal.name} · ${principal.roles.join(', ')}</span>
    </summary>
    <form method="post" action="/logout" class="menu-body">
      ${csrfField(view)}
      <p class="muted small">Signed in as ${principal.name}</p>
      <button class="btn">Sign out</button>
      <button class="btn" name="everywhere" value="true">Sign out everywhere</button>
    </form>
  </details>`;
}

function top(view: FrameView, page: Page): Html {
  const { environment, project } = view.facts;
  return html`<header class="top">
    <form class="find" action="/" role="search">
      ${icon(view, 'search')}<input
        type="search"
        name="q"
        id="find"
        placeholder="${findable(page)}"
        aria-label="Search items"
        autocomplete="off"
      /><kbd>Ctrl K</kbd>
    </form>
    <span class="push muted small hide-s">${project === PRODUCT ? null : project}</span>
    <span class="env ${ENVIRONMENT_TONE[environment]}">${environment}</span>
    ${view.principal && account(view, view.principal)}
  </header>`;
}

/** What the palette finds on this page: actions are an item's. */
function findable({ item }: Page): string {
  return item ? 'Go to an item, page or action' : 'Go to an item or page';
}

function palette(view: FrameView, page: Page): Html {
  return html`<dialog id="palette" aria-label="Go to">
      <input
        type="text"
        id="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-label="${findable(page)}"
        placeholder="${findable(page)}"
        autocomplete="off"
        spellcheck="false"
      />
      <ul id="palette-list" role="listbox" aria-label="Results"></ul>
      ${
        view.principal?.permissions.has('factory.work-item.create') &&
        html`<a href="/items/new" data-page="Create item" data-words="new" hidden></a>`
      }
    </dialog>
    ${keys}`;
}

const keys = html`<dialog id="keys" aria-labelledby="keys-title">
    <form method="dialog">
      <h2 id="keys-title">Keyboard</h2>
      <dl class="facts keys">
        <dt><kbd>Ctrl K</kbd> <kbd>/</kbd></dt>
        <dd>go to an item or page, on an item’s page to an action too</dd>
        <dt><kbd>j</kbd> <kbd>k</kbd></dt>
        <dd>next, previous item on the board</dd>
        <dt><kbd>enter</kbd></dt>
        <dd>open it</dd>
        <dt><kbd>a</kbd></dt>
        <dd>its actions</dd>
        <dt><kbd>?</kbd></dt>
        <dd>this list</dd>
      </dl>
      <button class="btn">Close</button>
    </form>
  </dialog>`;

function head(view: View, { title, live, inPlace }: Page): Html {
  return html`<head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${clip(title, 120)} · ${PRODUCT}</title>
    <link rel="icon" href="${view.asset('favicon.svg')}" type="image/svg+xml" />
    <link rel="stylesheet" href="${view.asset('look.css')}" />
    ${
      (live ?? inPlace) &&
      html`<meta name="htmx-config" content="${HTMX}" />
        <script src="${view.asset('htmx.js')}" defer></script>`
    }
    <script src="${view.asset('app.js')}" defer></script>
    <script src="${view.asset('palette.js')}" defer></script>
  </head>`;
}

/** A whole page for somebody who is signed in. */
export function framed(view: FrameView, page: Page): string {
  return html`<!doctype html>
<html lang="en">
${head(view, page)}
<body${page.item && html` data-item="${page.item.id}"`}${page.live && html` data-live="${page.live}"`}>
<a class="skip" href="#main">Skip to content</a>
${rail(view, page.place)}
<div class="page">
${top(view, page)}
<p id="connection" class="connection" role="status" hidden>Live updates are interrupted. What you see may be older than it says; <a href="">reload</a> to be sure.</p>
<main id="main" tabindex="-1">
${page.body}
</main>
</div>
${palette(view, page)}
</body>
</html>
`.text;
}

/** A whole page for somebody who is not: one narrow column, no navigation. */
export function bare(view: View, title: string, body: Child): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · ${PRODUCT}</title>
        <link rel="icon" href="${view.asset('favicon.svg')}" type="image/svg+xml" />
        <link rel="stylesheet" href="${view.asset('look.css')}" />
      </head>
      <body class="bare">
        <main id="main">
          <p class="brand">${icon(view, 'mark')}<span>${PRODUCT}</span></p>
          ${body}
        </main>
      </body>
    </html> `.text;
}
