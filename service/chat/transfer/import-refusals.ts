import { FactoryError } from '../../errors.ts';

/** What an import is refused for, beside what is wrong with the file itself. */

export function conflict(target: string, line?: number): FactoryError {
  return new FactoryError({
    ...{ code: 'import-conflict', op: 'import sessions', target },
    message: `There is a session ${target} with other content; nothing of it was changed.`,
    // A deleted id is refused for ever: whoever makes room in that way has lost both.
    hint:
      'Delete neither: the id of a deleted session is refused for ever, so that would not let this one in. Keep the file ' +
      'and leave this one out of it; to have both here, export this one with format=openai where it came from: it is then ' +
      'imported as a new session.',
    ...(line === undefined ? {} : { details: { line } }),
  });
}

export function inFlight(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'in-flight', op: 'import sessions', target, retryable: true },
    message: `The session ${target} is being imported now.`,
    hint: 'Wait for that import to end; the same content is then no change.',
  });
}

export function cut(line: number): FactoryError {
  return new FactoryError({
    ...{ code: 'import-cut', op: 'import sessions', target: `line ${line}` },
    message: `The file ends after line ${line}, in the middle of a session; nothing of that session was kept.`,
    hint: 'It was cut on its way: export or send it again.',
    details: { line },
  });
}
