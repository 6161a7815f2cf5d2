/* Ctrl K or `/`: go to an item, a page, or to an action of the present item. */
const palette = document.getElementById('palette');
const input = document.getElementById('palette-input');
const list = document.getElementById('palette-list');
let entries = [];
let selected = 0;
let asked = 0;
let searching = false;

function pages() {
  return [...document.querySelectorAll('.rail a[data-page]')].map((link) => ({
    label: link.dataset.page,
    what: 'page',
    go: () => location.assign(link.href),
  }));
}

/** Those that the viewer can take now press their button, which shows the plan; the others show why not. */
function actions() {
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

async function items(text) {
  const url = `/api/control-plane/items?${new URLSearchParams({ q: text, limit: '8' })}`;
  const response = await fetch(url, { headers: { accept: 'application/json' } });
  if (!response.ok) return [];
  const found = await response.json();
  return found.items.map((item) => ({
    label: `${item.key} ${item.title}`,
    what: item.lane,
    go: () => location.assign(`/items/${item.id}`),
  }));
}

function noMatch() {
  const row = document.createElement('li');
  row.className = 'none';
  row.setAttribute('role', 'option');
  row.setAttribute('aria-disabled', 'true');
  row.textContent = searching ? 'Searching…' : 'No match';
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

async function search() {
  const text = input.value.trim();
  const local = [...actions(), ...pages()].filter(({ label }) =>
    label.toLowerCase().includes(text.toLowerCase()),
  );
  const turn = ++asked;
  selected = 0;
  entries = local;
  searching = text !== '';
  show();
  if (text === '') return;
  const found = await items(text).catch(() => []);
  if (turn !== asked) return;
  searching = false;
  entries = [...found, ...local];
  show();
}

function open() {
  input.value = '';
  palette.showModal();
  search();
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
