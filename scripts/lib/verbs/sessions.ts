import type { Verb, VerbOption } from '../verb.ts';

const CALLS = 'Calls FACTORY_URL (default: the configured address or socket) with FACTORY_TOKEN.';
const SESSION = { name: 'id', description: 'the session by its id' };
const FORMAT: VerbOption = {
  flags: '--format <format>',
  description: 'jsonl loses nothing; openai: the messages alone, as chat completions (default: jsonl)',
  choices: ['jsonl', 'openai'],
};
const PAGE: VerbOption[] = [
  { flags: '--limit <count>', description: 'at most so many' },
  { flags: '--cursor <cursor>', description: 'go on where a list ended' },
];

/** Conversations of a running service. */
export const SESSION_VERBS: Verb[] = [
  {
    path: 'sessions list',
    summary: 'List the sessions that you may see, the newest first',
    details: CALLS,
    options: [
      { flags: '--class <class>', description: 'of one class' },
      { flags: '--item <item>', description: 'of a work item' },
      ...PAGE,
    ],
    load: async () => (await import('../../sessions.ts')).list,
  },
  {
    path: 'sessions show',
    summary: 'Show a session, without its messages',
    details: CALLS,
    arguments: [SESSION],
    load: async () => (await import('../../sessions.ts')).show,
  },
  {
    path: 'sessions messages',
    summary: 'Read the messages of a session in their order',
    details: CALLS,
    arguments: [SESSION],
    options: [{ flags: '--after <seq>', description: 'only those after this place' }, ...PAGE],
    load: async () => (await import('../../sessions.ts')).messages,
  },
  {
    path: 'sessions search',
    summary: 'Search titles, messages and their files that you may read, each the newest first',
    details: `${CALLS}\nAll words in the same title, message or file; '"a phrase"', 'migr*' for a beginning, 'NOT word' for what must not be there. There is no OR.`,
    arguments: [{ name: 'query', description: 'the words, in one argument' }],
    options: [
      { flags: '--session <id>', description: 'only in this session' },
      { flags: '--person <id>', description: 'only in sessions of this person' },
      { flags: '--class <class>', description: 'only in sessions of this class' },
      {
        flags: '--in <what>',
        description: 'only in these',
        choices: ['message', 'title', 'attachment'],
      },
      {
        flags: '--from <time>',
        description: 'only messages from then on: a time, or so long ago, such as 2h',
      },
      { flags: '--to <time>', description: 'only messages before then: a time, or so long ago' },
      ...PAGE,
    ],
    load: async () => (await import('../../search.ts')).find,
  },
  {
    path: 'sessions begin',
    summary: 'Begin a session',
    details: `${CALLS}\nThe answer names its id, which the other verbs take.`,
    options: [
      { flags: '--title <title>', description: 'what it is called' },
      { flags: '--subject <name>', description: 'whom it is about; erasure goes by it (default: you)' },
      { flags: '--class <class>', description: 'policies go by it (default: general)' },
      { flags: '--item <item>', description: 'the work item that it belongs to, by its id' },
      { flags: '--idempotency-key <key>', description: 'of a request that is repeated (default: a new one)' },
    ],
    load: async () => (await import('../../sessions.ts')).begin,
  },
  {
    path: 'sessions append',
    summary: 'Append a message to a session',
    details: `${CALLS}\nFiles are sent with their digest first. What was found in the text or a file, and what became of it, is told a line each.`,
    arguments: [SESSION],
    options: [
      { flags: '--text <text>', description: 'what it says' },
      { flags: '--attach <file>', description: 'a file; may come again', list: 'repeat' },
      {
        flags: '--type <media-type>',
        description: 'what the files are; text/* and JSON are searched (default: by the name of each)',
      },
      {
        ...{ flags: '--role <role>', description: 'whose part it is (default: user)' },
        choices: ['user', 'assistant', 'system', 'tool'],
      },
      { flags: '--subject <name>', description: 'whom it is about (default: as its session)' },
      { flags: '--idempotency-key <key>', description: 'of a request that is repeated (default: a new one)' },
    ],
    load: async () => (await import('../../sessions.ts')).append,
  },
  {
    path: 'sessions export',
    summary: 'Export a session, or all that you may read, to stdout or to a file',
    details: `${CALLS}\nA file that exists is not replaced (exit 4); one that broke off is not kept. With --all, sessions that cannot be exported are named (exit 3).`,
    arguments: [{ ...SESSION, optional: true }],
    options: [
      {
        flags: '--all',
        description: 'every session that you may read, one behind the other, the newest first',
      },
      FORMAT,
      { flags: '--to <file>', description: 'the file (default: stdout)' },
    ],
    load: async () => (await import('../../session-export.ts')).exportSessions,
  },
  {
    path: 'sessions import',
    summary: 'Import sessions from a file, each whole or not at all',
    details: `${CALLS}\nAs openai each line {"messages":[…]} becomes a new session, with its own "title" where it has one.\nAn error names the line, the sessions before it, which were kept, and the line to go on from.`,
    arguments: [{ name: 'file', description: 'what `sessions export` wrote, one export or several' }],
    options: [
      FORMAT,
      { flags: '--title <title>', description: 'of openai: of lines that have none' },
      { flags: '--subject <name>', description: 'of openai: whom they are about (default: you)' },
      { flags: '--class <class>', description: 'of openai: their class (default: general)' },
      { flags: '--from-line <n>', description: 'pass over the lines before it: an import kept them' },
    ],
    load: async () => (await import('../../session-import.ts')).importSessions,
  },
  {
    path: 'sessions delete',
    summary: 'Delete a session or one of its messages, for ever',
    details: CALLS,
    arguments: [SESSION],
    options: [{ flags: '--message <id>', description: 'this message alone' }],
    load: async () => (await import('../../sessions.ts')).remove,
  },
  {
    path: 'search rebuild',
    summary: 'Make the search index anew, from the messages in the database',
    details: `${CALLS}\nThe service makes it while others work. Stopped, it needs no command: without <data>/search it makes it at its start.`,
    load: async () => (await import('../../search.ts')).rebuild,
  },
];
