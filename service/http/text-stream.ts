import type { Request, Response } from 'express';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Answers that are made while they are sent. */

/**
 * Sends pieces as they come and as fast as they are taken. What fails before the first one is an error of the call; after that a
 * broken connection is what is left to tell it by.
 */
export async function sendStream(
  req: Request,
  res: Response,
  headers: Record<string, string>,
  pieces: AsyncIterable<string | Buffer>,
): Promise<void> {
  const source = pieces[Symbol.asyncIterator]();
  const first = req.method === 'HEAD' ? null : await source.next();
  res.status(200).set({ 'Cache-Control': 'no-store, no-transform', ...headers });
  if (first === null) return void res.end();
  await pipeline(Readable.from(following(first, source), { objectMode: true }), res).catch(
    (error: unknown) => {
      req.log.warn({ err: error }, 'an answer was not sent to its end');
    },
  );
}

async function* following<T>(first: IteratorResult<T, unknown>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
