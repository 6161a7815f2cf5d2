import { readFileSync } from 'node:fs';
import { shellWord } from '../command.ts';
import type { Item, Layer } from './items.ts';

/**
 * A host's description as one shell script, whole in itself: what a new host runs at its first start, and what a running
 * one is sent by SSH. Debian's own bash runs it; nothing has to be on the host before.
 */

const ENGINE = new URL('./converge.sh', import.meta.url);
/** The line that ends a file in the script; no file of ours has it. */
const END = 'END_OF_THIS_FILE';

export function hostScript(layers: readonly Layer[]): string {
  const names = layers.flatMap(({ items }) =>
    items.flatMap((one) => (one.kind === 'package' ? [one.name] : [])),
  );
  return `#!/bin/bash
${readFileSync(ENGINE, 'utf8')}
dpkg-query -W ${names.map(shellWord).join(' ')} >/dev/null 2>&1 && packages_missing=no || packages_missing=yes

# Read whole before it is run: it may come through a pipe that its commands would read from.
main() {
${layers.map(layerText).join('')}  tell end "$total"
}
main
exit
`;
}

function layerText({ name, items, check, reload }: Layer): string {
  const units = items.filter(({ kind }) => kind === 'unit');
  const others = items.filter(({ kind }) => kind !== 'unit');
  return [
    `begin ${name}\n`,
    ...others.map(itemText),
    `settle ${quoted(check ?? ':')} ${quoted(reload ?? ':')}\n`,
    ...units.map(itemText),
    'finish\n\n',
  ].join('');
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const call = (name: string, ...words: string[]): string => `${[name, ...words.map(shellWord)].join(' ')}\n`;

function itemText(item: Item): string {
  switch (item.kind) {
    case 'package':
    case 'unit':
      return call(item.kind, item.name);
    case 'user':
      return call('user', item.name, item.home, item.shell, item.system ? 'system' : 'person');
    case 'unit-off':
      return call('unit_off', item.name);
    case 'locked-password':
      return call('locked_password', item.user);
    case 'folder':
      return call('folder', item.path, item.owner, item.mode);
    case 'mode':
      return call('mode', item.path, item.mode);
    case 'setting':
      return call('setting', item.path, item.key, item.value);
    case 'absent':
    case 'awaited':
      return call(item.kind, item.path);
    case 'file':
      return fileText(item);
  }
}

/** Errors: a file that a script cannot carry. */
function fileText({ path, owner, mode, content, secret }: Extract<Item, { kind: 'file' }>): string {
  const text = secret && !content.endsWith('\n') ? `${content}\n` : content;
  if (!text.endsWith('\n') || text.includes('\0') || text.split('\n').includes(END))
    throw new Error(`${path} has no line break at its end, or holds what ends it early.`);
  const words = [path, owner, mode, secret ? 'secret' : 'shown'].map(shellWord).join(' ');
  return `file ${words} <<'${END}'\n${text}${END}\n`;
}
