import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../service/config.ts';
import { makeFolder } from '../../service/folders.ts';
import { replaceFile } from '../../service/replace-file.ts';
import { serviceAt } from './neighbour.ts';
import { localAddress } from './settings.ts';

/**
 * Where the running service listens, as it wrote it down (`<data>/listening.json`): its port can be one that was given to it
 * alone, and a link that names another one leads nowhere.
 */

const whereSchema = z.union([
  z.strictObject({ host: z.string(), port: z.int().positive() }),
  z.strictObject({ socket: z.string() }),
]);

type Where = Pick<Config, 'listen' | 'dataDir'>;

const pathIn = ({ dataDir }: Pick<Config, 'dataDir'>): string => join(dataDir, 'listening.json');

/** Writes down where a service listens, whose address is `url`; returns what takes that away again. */
export function noteListening(config: Where, url: string): () => void {
  const { listen } = config;
  const where = 'socket' in listen ? listen : { host: listen.host, port: Number(new URL(url).port || 80) };
  const text = `${JSON.stringify(where)}\n`;
  try {
    makeFolder(config.dataDir);
    replaceFile(pathIn(config), text);
  } catch {
    // It helps people who make a link; the service does without.
  }
  return () => {
    // Where deploys overlap, the next one wrote its own.
    if (read(config) === text) rmSync(pathIn(config), { force: true });
  };
}

/** The configuration with the place where a service of this database answers, where it noted another one. */
export async function asListening(config: Config): Promise<Config> {
  const text = read(config);
  if (config.baseUrl !== null || text === null) return config;
  try {
    const running = { ...config, listen: whereSchema.parse(JSON.parse(text)) };
    const address = localAddress(running);
    if (address === null || JSON.stringify(address) === JSON.stringify(localAddress(config))) return config;
    return (await serviceAt(address, config))?.isOurs === true ? running : config;
  } catch {
    // What a service that was killed left, or another program at its place.
    return config;
  }
}

function read(config: Pick<Config, 'dataDir'>): string | null {
  try {
    return readFileSync(pathIn(config), 'utf8');
  } catch {
    return null;
  }
}
