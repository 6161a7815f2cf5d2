import { folderHost } from '../../../scripts/lib/deploy/host/folder-host.ts';
import { layoutOf } from '../../../scripts/lib/deploy/host/layout.ts';
import { processes } from '../../../scripts/lib/deploy/host/processes.ts';
import type { DeployHost } from '../../../scripts/lib/deploy/types.ts';
import { sceneOf } from './scene.ts';

/** Deploys; where a call to the host is named, it is killed before or after it. Arguments: root, archive, call, when. */

const [root = '', archive = '', call = '', when = ''] = process.argv.slice(2);
const layout = layoutOf('staging', root);
const host = folderHost(layout, processes(layout));
const die = (): void => void process.kill(process.pid, 'SIGKILL');

const killed = new Proxy(host, {
  get(target, name) {
    const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
    if (call === '' || name !== call) return original;
    return async (...args: unknown[]) => {
      if (when === 'before') die();
      const result = await original(...args);
      die();
      return result;
    };
  },
}) satisfies DeployHost;

await sceneOf(layout).deploy(archive, { host: killed, by: 'another process' });
