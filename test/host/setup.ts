import { spawnSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { hostImage } from './image.ts';
import { sweepHosts } from './machine.ts';
import type { Image } from './image.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A bare Debian 12, in the project `host`. */
    hostImage: Image;
  }
}

const NEEDED = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  nsenter: 'util-linux',
  ssh: 'openssh-client',
  openssl: 'openssl',
};

/** Errors: where this machine cannot boot a host, with what is missing. Nothing is passed over in silence. */
export default function setup(project: TestProject): void {
  if (process.getuid?.() !== 0)
    throw new Error('NOT RUN: the host suite boots a Debian host, and only root can.');
  const missing = Object.entries(NEEDED).filter(([program]) => spawnSync('which', [program]).status !== 0);
  if (missing.length > 0)
    throw new Error(
      `NOT RUN: the host suite needs ${missing.map(([program]) => program).join(', ')}. ` +
        `Install: apt-get install -y --no-install-recommends ${missing.map(([, name]) => name).join(' ')}`,
    );
  sweepHosts();
  project.provide('hostImage', hostImage());
}
