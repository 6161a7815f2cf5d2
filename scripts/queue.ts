import type { Config } from '../service/config.ts';
import { withAccess } from './lib/data.ts';
import { otherUsers, serviceAt } from './lib/neighbour.ts';
import { addressText, localAddress } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

export const adopt: Run = (context) =>
  withAccess(context, async ({ queueHome }, config) => {
    const { workItemsDir } = config;
    const before = (await queueHome.adopt())?.path ?? null;
    const other = before === null ? null : await otherProcess(config);
    if (other !== null) {
      context.say(
        `${other} goes on with the folder that it was started with: restart it with FACTORY_WORK_ITEMS_DIR=${workItemsDir}.`,
      );
    }
    return {
      json: { dir: workItemsDir, before },
      text:
        before === null
          ? `The database follows ${workItemsDir}.`
          : `The database, filled from ${before}, follows ${workItemsDir} from now on.`,
    };
  });

/** What else works on this database now; null: nothing that tells. */
async function otherProcess(config: Config): Promise<string | null> {
  const [pid] = otherUsers(config, process.pid);
  if (pid !== undefined) return `Process ${pid}, which has this database open,`;
  const address = localAddress(config);
  const service = address && (await serviceAt(address, config).catch(() => null));
  return address && service?.isOurs ? `The service at ${addressText(address)}` : null;
}
