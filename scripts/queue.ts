import { withAccess } from './lib/data.ts';
import type { Run } from './lib/verb.ts';

export const adopt: Run = (context) =>
  withAccess(context, async ({ queueHome }, { workItemsDir }) => {
    const before = (await queueHome.adopt())?.path ?? null;
    return {
      json: { dir: workItemsDir, before },
      text:
        before === null
          ? `The database follows ${workItemsDir}.`
          : `The database, filled from ${before}, follows ${workItemsDir} from now on.`,
    };
  });
