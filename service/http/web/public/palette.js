/* Ctrl K or `/`: go to an item, to a page, or to an action of the present item. */
const palette = document.getElementById('palette');
const input = document.getElementById('palette-input');
const list = document.getElementById('palette-list');
let entries = [];
let selected = 0;
let asked = 0;
/** What the list says where it is empty: `searching`, `failed`, or null. */
let state = null;

function pages() {
  const links = [
    ...document.querySelectorAll('.rail a[data-page]'),
    ...palette.querySelectorAll('a[data-page]'),
  ];
  return links.map((link) => ({
    label: link.dataset.page,
    what: 'page',
    words: link.dataset.words ?? '',
    go: () => location.assign(link.href),
  }));
}

/** Those that the viewer can take now press their button, which shows the plan; the others show why not. */
function listed() {
  return [...document.querySelectorAll('[data-action]')].map((card) => ({
    label: card.dataset.action,
    what: card.querySelector('form.do') ? 'action' : 'why not',
    go: () => {
      palette.close();
      location.hash = card.id;
      card.querySelector('form.do button')?.click();
    },
  }));
}

/** Labels of the actions that the lane leaves out; asked for once. */
let unlisted = null;

async function loadUnlisted() {
  const { item } = document.body.dataset;
  if (!item || unlisted) return;
  unlisted = [];
  const url = `/api/control-plane/items/${item}/actions?all=true`;
  const response = await fetch(url, { headers: { accept: 'application/json' } });
  if (!response.ok) return;
  unlisted = (await response.json()).actions.map(({ identity, label }) => ({
    label,
    what: 'not on this lane',
    go: () => location.assign(`/items/${item}?act=${identity}#act-${identity}`),
  }));
  if (palette.open) search();
}

function actions() {
  const here = listed();
  const known = new Set(here.map(({ label }) => label));
  return [...here, ...(unlisted ?? []).filter(({ label }) => !known.has(label))];
}

/** The cards of the board, without a question to the service. */
function cards() {
  return [...document.querySelectorAll('.card')].map((card) => ({
    label: `${card.querySelector('.mono').textContent} ${card.querySelector('p').textContent}`,
    what: 'item',
    href: card.getAttribute('href'),
    go: () => location.assign(card.href),
  }));
}

async function items(text) {
  const url = `/api/control-plane/items?${new URLSearchParams({ q: text, limit: '8' })}`;
  const response = await fetch(url, { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${response.status}`);
  const found = await response.json();
  return found.items.map((item) => ({
    label: `${item.key} ${item.title}`,
    what: item.lane,
    href: `/items/${item.id}`,
    go: () => location.assign(`/items/${item.id}`),
  }));
}

function emptyText() {
  if (state === 'searching') return 'Searching…';
  const text = `“${input.value.trim()}”`;
  if (state === 'failed')
    return `No page matches ${text}, and items could not be searched. Try again in a moment.`;
  return document.body.dataset.item
    ? `No item, page or action matches ${text}.`
    : `No item or page matches ${text}. Actions are offered on an item’s page.`;
}

function noMatch() {
  const row = document.createElement('li');
  row.className = 'none';
  row.setAttribute('role', 'option');
  row.setAttribute('aria-disabled', 'true');
  row.textContent = emptyText();
  return row;
}

function show() {
  selected = Math.min(selected, Math.max(entries.length - 1, 0));
  list.replaceChildren(
    ...entries.map((entry, index) => {
      const row = document.createElement('li');
      row.id = `palette-${index}`;
      row.setAttribute('role', 'option');
      row.setAttribute('aria-selected', String(index === selected));
      const label = document.createElement('span');
      label.className = 'label';
      label.textContent = entry.label;
      const what = document.createElement('span');
      what.className = 'what';
      what.textContent = entry.what;
      row.append(label, what);
      row.addEventListener('click', entry.go);
      return row;
    }),
  );
  if (entries.length === 0) list.append(noMatch());
  if (entries.length > 0) input.setAttribute('aria-activedescendant', `palette-${selected}`);
  else input.removeAttribute('aria-activedescendant');
  document.getElementById(`palette-${selected}`)?.scrollIntoView({ block: 'nearest' });
}

/** Entries that have all words typed, in any order. */
function matching(all, text) {
  const words = text.toLowerCase().split(/\s+/);
  return all.filter(({ label, words: more = '' }) => {
    const own = `${label} ${more}`.toLowerCase();
    return words.every((word) => own.includes(word));
  });
}

async function search() {
  const text = input.value.trim();
  const local = matching([...actions(), ...pages()], text);
  const near = matching(cards(), text).slice(0, 8);
  const turn = ++asked;
  selected = 0;
  state = text === '' ? null : 'searching';
  entries = [...local, ...near];
  show();
  if (text === '') return;
  const found = await items(text).catch(() => null);
  if (turn !== asked) return;
  state = found ? null : 'failed';
  const elsewhere = (found ?? []).filter(({ href }) => !near.some((card) => card.href === href));
  entries = [...near, ...elsewhere, ...local];
  show();
}

function open() {
  input.value = '';
  palette.showModal();
  search();
  loadUnlisted().catch(() => undefined);
}

input?.addEventListener('input', search);
input?.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    selected = (selected + step + entries.length) % Math.max(entries.length, 1);
    show();
  }
  if (event.key === 'Enter') {
    event.preventDefault();
    entries[selected]?.go();
  }
});
palette?.addEventListener('click', (event) => event.target === palette && palette.close());

document.addEventListener('keydown', (event) => {
  const slash = event.key === '/' && !event.target.closest('input, textarea, select');
  if (slash || (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey))) {
    event.preventDefault();
    if (!palette.open) open();
  }
});
document.getElementById('find')?.addEventListener('pointerdown', (event) => {
  event.preventDefault();
  open();
});
