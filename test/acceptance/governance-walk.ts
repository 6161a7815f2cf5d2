import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { permissionsOf } from '../../service/access/roles.ts';
import type { Caller } from '../../service/chat/dependencies.ts';
import { manualClock } from '../../service/clock.ts';
import { type Config } from '../../service/config.ts';
import { createContext, type Context } from '../../service/context.ts';
import { createLogger } from '../../service/logger.ts';
import type { Run } from './lab.ts';
import type { Random } from './random.ts';

/** An installation that content is taken away in and kept, and what has to be true of it. */

const SUBJECTS = 6;
/** Sessions that steps are about: older ones are mostly gone. */
export const RECENT = 8;

/** Content by its place and time: after a restore the same place can be that of another message. */
export interface Message {
  key: string;
  session: string;
  seq: number;
  /** By its name; null: not known any more. */
  subject: string | null;
  class: string;
  createdAt: string;
  binned: boolean;
}

export interface Hold {
  id: string;
  subject?: string;
  session?: string;
  class?: string;
  from?: string;
  to?: string;
}

export interface Copy {
  /** File, or name of a database. */
  at: string;
  live: Message[];
  /** Whether another timeline went on from it. */
  abandoned: boolean;
}

export const owner: Caller = {
  ...{ kind: 'person', id: 'owner', personId: 'owner', roles: ['owner'] },
  permissions: permissionsOf(['owner']),
};

export class Walk {
  readonly run: Run;
  readonly random: Random;
  readonly clock = manualClock('2026-01-01T00:00:00.000Z');
  readonly dir: string;
  readonly failures: string[] = [];
  readonly figures: Record<string, number> = {};
  context!: Context;
  isOpen = false;
  /** What a step finds is judged when the service is there again. */
  interrupted = false;
  config!: Config;
  names = Array.from({ length: SUBJECTS }, (_, n) => `subject ${n}`);
  /** Subject number of the database -> its name; numbers can be given again after a restore, so by id. */
  readonly nameById = new Map<string, string>();
  readonly erased = new Set<string>();
  readonly gone = new Set<string>();
  readonly closed = new Set<string>();
  holds: Hold[] = [];
  copies: Copy[] = [];
  sessions: string[] = [];
  plans: string[] = [];
  step = '';

  constructor(run: Run) {
    this.run = run;
    this.random = run.random;
    this.dir = mkdtempSync(join(run.below ?? tmpdir(), 'factory-governance-'));
  }

  fail(text: string): void {
    this.failures.push(`${this.step}: ${text}`);
  }

  async open(): Promise<void> {
    this.context = await createContext(this.config, { clock: this.clock, logger: createLogger('silent') });
    this.isOpen = true;
    await this.context.chat.start();
    await this.settled();
    const rows = await this.context.storage.read.query((db) =>
      db
        .selectFrom('chat_sessions')
        .select('id')
        .where('deleted_at', 'is', null)
        .where('binned_at', 'is', null)
        .orderBy('number', 'desc')
        .limit(RECENT),
    );
    this.sessions = rows.map(({ id }) => id).reverse();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { chat, feed, items, audit, storage } = this.context;
    await Promise.all([feed.close(), items.stop(), chat.stop()]);
    await audit.stop();
    await storage.close();
    chat.close();
  }

  async settled(): Promise<void> {
    await this.context.chat.governance.erasures.idle();
  }

  /** What is there, the bin too, past everything that hides it. */
  async live(): Promise<Message[]> {
    const rows = await this.context.storage.read.query((db) =>
      db
        .selectFrom('chat_messages as m')
        .innerJoin('chat_sessions as s', 's.number', 'm.session')
        .leftJoin('chat_subjects as j', 'j.number', 'm.subject')
        .select(['s.id as session', 's.class', 's.binned_at as session_binned', 'm.seq', 'm.created_at'])
        .select(['m.binned_at', 'm.body', 'j.id as subject'])
        .where('m.deleted_at', 'is', null)
        .where('s.deleted_at', 'is', null),
    );
    return rows.map((row) => {
      if (row.body === null) this.fail(`${row.session}.${row.seq} is there without its content`);
      return {
        ...{ key: `${row.session}.${row.seq}@${row.created_at}`, session: row.session, seq: row.seq },
        ...{
          subject: this.nameById.get(row.subject ?? '') ?? null,
          class: row.class,
          createdAt: row.created_at,
        },
        binned: row.binned_at !== null || row.session_binned !== null,
      };
    });
  }

  count(name: string): void {
    this.figures[name] = (this.figures[name] ?? 0) + 1;
  }
}

/** As a person would say what a hold covers; written apart from the product's own rule. */
export function covers(hold: Hold, message: Message): boolean {
  if (hold.subject !== undefined && hold.subject !== message.subject) return false;
  if (hold.session !== undefined && hold.session !== message.session) return false;
  if (hold.class !== undefined && hold.class !== message.class) return false;
  if (hold.from !== undefined && message.createdAt < hold.from) return false;
  return hold.to === undefined || message.createdAt <= hold.to;
}
