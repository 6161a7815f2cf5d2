/* Live parts, copying, keyboard. Every page works without it. */
const main = () => document.getElementById('main');
document.documentElement.classList.add('js');

/* ---- live parts: events say that something changed, the page itself says what it looks like now */

const LIVE_PARTS = {
  board: ['#board', '#board-summary'],
  item: ['#heading', '#next', '#facts', '#actions', '#more'],
};
let wanted = false;
let waiting = null;

/** A plan that somebody reads, or asks for, stays; confirming it tells whether it still holds. */
document.addEventListener('htmx:oobBeforeSwap', (event) => {
  if (event.detail.target.querySelector('.confirm, .htmx-request')) event.preventDefault();
});

/** What somebody opened stays open. */
document.addEventListener('htmx:oobBeforeSwap', (event) => {
  const { target, fragment } = event.detail;
  for (const { id } of target.querySelectorAll('details[id][open]')) {
    const same = fragment.querySelector(`#${CSS.escape(id)}`);
    if (same) same.open = true;
  }
});

function refresh() {
  waiting = null;
  if (document.hidden || document.querySelector('dialog[open]')) {
    wanted = true;
    return;
  }
  wanted = false;
  const url = new URL(location.href);
  url.searchParams.delete('done');
  url.hash = '';
  const parts = (LIVE_PARTS[document.body.dataset.live] ?? []).filter((part) => document.querySelector(part));
  if (parts.length > 0)
    htmx.ajax('GET', url.href, { source: document.body, swap: 'none', selectOOB: parts.join(',') });
}

/** Many events in a row, as an import makes them, become one refresh. */
function refreshSoon() {
  waiting ??= setTimeout(refresh, 300);
}

/** What time alone changes is shown then: the page says in how many seconds, each time it is drawn. */
let due = null;

function refreshInTime() {
  clearTimeout(due);
  const seconds = Number(document.querySelector('[data-changes-in]')?.dataset.changesIn);
  // A longer wait than a timer holds is not worth one.
  if (seconds > 0 && seconds < 2_000_000) due = setTimeout(refresh, seconds * 1000 + 300);
}

document.addEventListener('htmx:oobAfterSwap', (event) => {
  if (event.detail.target.id === 'next') refreshInTime();
});

function concerns(change) {
  const { live, item } = document.body.dataset;
  return live === 'board' || (live === 'item' && change.id === item);
}

function listen() {
  const note = document.getElementById('connection');
  const events = new EventSource('/api/events');
  let lost = false;
  events.addEventListener('item', (event) => {
    if (concerns(JSON.parse(event.data))) refreshSoon();
  });
  events.addEventListener('open', () => {
    note.hidden = true;
    if (lost) refreshSoon();
    lost = false;
  });
  events.addEventListener('error', () => {
    lost = true;
    // A browser reconnects by itself within seconds; only what lasts is worth a word.
    setTimeout(() => {
      note.hidden = events.readyState === EventSource.OPEN;
    }, 3000);
  });
  addEventListener('pagehide', () => events.close());
}

if (document.body.dataset.live) {
  listen();
  refreshInTime();
  document.addEventListener('visibilitychange', () => wanted && refreshSoon());
  document.addEventListener('close', () => wanted && refreshSoon(), true);
}

/* ---- times */

/** As the pages do: what is past in whole units, what is to come rounded. */
function ago(seconds) {
  const size = Math.abs(seconds);
  const round = seconds > 0 ? Math.floor : Math.round;
  if (size < 10) return 'just now';
  const text =
    round(size) < 60
      ? `${round(size)}s`
      : round(size / 60) < 60
        ? `${round(size / 60)} min`
        : round(size / 3600) < 48
          ? `${round(size / 3600)} h`
          : `${round(size / 86400)} d`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

setInterval(() => {
  for (const time of document.querySelectorAll('main time')) {
    if (/ ago$|^in |^just now$/.test(time.textContent))
      time.textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}, 30_000);

/* ---- copy */

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add('copied');
  const label = button.getAttribute('aria-label');
  button.setAttribute('aria-label', 'Copied');
  setTimeout(() => {
    button.classList.remove('copied');
    button.setAttribute('aria-label', label);
  }, 1200);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-copy]');
  if (button) copy(button);
  for (const menu of document.querySelectorAll('details.menu[open]'))
    if (!menu.contains(event.target)) menu.open = false;
});

/* ---- keyboard */

function move(step) {
  const stops = [...document.querySelectorAll('[data-nav]')];
  if (stops.length === 0) return;
  const at = stops.indexOf(document.activeElement);
  const next =
    at < 0 ? (step > 0 ? 0 : stops.length - 1) : Math.min(Math.max(at + step, 0), stops.length - 1);
  stops[next].focus();
}

function actions() {
  const link = document.activeElement?.closest('[data-nav]');
  if (link) location.href = `${link.getAttribute('href')}#actions`;
  else document.querySelector('#actions')?.scrollIntoView();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: actions,
  '?': () => document.getElementById('keys').showModal(),
};

document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, dialog');
  if (event.key === 'Escape')
    for (const menu of document.querySelectorAll('details.menu[open]')) menu.open = false;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

/* ---- what an address points at is not left folded */

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.querySelector(':scope > details');
  if (fold) fold.open = true;
}

unfold();
addEventListener('hashchange', unfold);

/* ---- a form of evidence asks only what its kind needs; what is hidden is not sent */

function fitKind(kind) {
  for (const field of kind.form.querySelectorAll('[data-only]')) {
    field.hidden = field.dataset.only !== kind.value;
    for (const control of field.querySelectorAll('input, select')) {
      control.disabled = field.hidden;
      if (!field.hidden && control.value === '' && control.dataset.first)
        control.value = control.dataset.first;
    }
  }
}

function fitKinds() {
  document.querySelectorAll('form select[name="kind"]').forEach(fitKind);
}

fitKinds();
document.addEventListener('htmx:afterSettle', fitKinds);
document.addEventListener('change', (event) => {
  if (event.target.matches('select[name="kind"]')) fitKind(event.target);
});

/* ---- after a step in place: what it led to is seen, and has the focus, so that it is read out */

document.addEventListener('htmx:afterSettle', () => {
  const step = main().querySelector('#result, .confirm');
  if (!step || step.dataset.seen) return;
  step.dataset.seen = 'true';
  const next =
    step.querySelector('[aria-invalid]') ??
    step.querySelector('.notice, .fields select, button.main') ??
    step;
  if (!next.matches('select, input, textarea, button')) next.tabIndex = -1;
  next.focus({ preventScroll: true });
  if (step.id === 'result') scrollTo(0, 0);
  else step.scrollIntoView({ block: 'nearest' });
});
