import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { FactoryError } from '../../../service/errors.ts';
import type { Layer } from './items.ts';
import { file } from './items.ts';
import { namesOf } from './names.ts';
import { readHostSettings } from './settings.ts';
import type { HostSettings } from './settings.ts';

function invalid(target: string, message: string, details: Record<string, unknown> = {}): FactoryError {
  return new FactoryError({
    ...{ code: 'host-settings', op: 'read host settings', target, message, details },
    hint: 'docs/host.md has each setting and an example.',
  });
}

/** Settings from a YAML or JSON file. `only`: of these environments. Errors: `host-settings`, with every problem at once. */
export function hostSettingsFrom(cwd: string, name: string, only: readonly string[]): HostSettings {
  const path = resolve(cwd, name);
  if (!existsSync(path)) throw invalid(name, `${name} is not there.`);
  let input: unknown;
  try {
    input = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw invalid(name, `${name} cannot be read: ${(cause as Error).message}`);
  }
  const read = readHostSettings(input);
  if ('problems' in read) {
    const { problems } = read;
    throw invalid(
      name,
      `${name} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
      { problems },
    );
  }
  const environments = read.settings.environments.filter(
    (one) => only.length === 0 || only.includes(one.name),
  );
  const strange = only.find((one) => !environments.some((known) => known.name === one));
  if (strange !== undefined) throw invalid(name, `${name} describes no environment ${strange}.`);
  return { ...read.settings, environments };
}

/**
 * The layers with the secrets that lie in a folder as `<environment>/<NAME>`: files in place of those that are waited for.
 * Errors: `host-settings` where one is empty.
 */
export function withCredentials(layers: readonly Layer[], settings: HostSettings, folder: string): Layer[] {
  const secrets = new Map(
    settings.environments.flatMap(({ name, credentials }) =>
      credentials.flatMap((one): [string, string][] => {
        const path = join(folder, name, one);
        if (!existsSync(path)) return [];
        const content = readFileSync(path, 'utf8');
        if (content.trim() === '') throw invalid(path, `${path} is empty.`);
        return [[`${namesOf(name).configuration}/credentials/${one}`, content]];
      }),
    ),
  );
  return layers.map((layer) => ({
    ...layer,
    items: layer.items.map((item) => {
      const content = item.kind === 'awaited' ? secrets.get(item.path) : undefined;
      return content === undefined || item.kind !== 'awaited'
        ? item
        : file(item.path, content, { mode: '0600', secret: true });
    }),
  }));
}
