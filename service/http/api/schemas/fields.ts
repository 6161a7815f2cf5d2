import { z } from 'zod';

/** The small parts of requests and answers. Patterns mean the same in JSON Schema as here. */

/** Schemas that OpenAPI shows under their own name. */
export const components = z.registry<{ id: string }>();

export function named<S extends z.ZodType>(id: string, schema: S): S {
  components.add(schema, { id });
  return schema;
}

/** What is searched for, or is kept beside the content: a text that both databases take as it is. */
export function filter(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\u0000]*$/, 'Must not hold NUL.')
    .refine((value) => value.isWellFormed(), 'Must not hold half of a surrogate pair.');
}

/** A whole number in a query. */
export function whole(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,16}$/, 'Must be a whole number.')
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

/** `true` or `false` in a query. */
export const flag = z
  .enum(['true', 'false'])
  .transform((value) => value === 'true')
  .pipe(z.boolean());

export const MAX_PAGE = 200;
export const limit = whole(1, MAX_PAGE).optional().describe('Most entries of the answer.');
export const cursor = z
  .string()
  .min(1)
  .max(1000)
  .optional()
  .describe('`nextCursor` of the page before; one that this list did not issue is refused.');
export const nextCursor = z.string().nullable().describe('Null at the end.');

/** Ids of work items, as in the queue's records. */
export const itemId = z
  .string()
  .regex(/^wi-[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$/)
  .meta({ examples: ['wi-BF-106'] });

/** Ids that the service makes: UUID version 7. */
export const madeId = z.uuid();

export const count = z.int().min(0);
export const version = z.int().min(1);
export const time = z.iso.datetime().describe('ISO-8601, UTC.');
/** A time to compare with: as rows and leaves have theirs. */
export const instant = time.transform((text) => new Date(text).toISOString()).pipe(z.string());

export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'Must be 1 to 255 visible ASCII characters.')
  .describe('Makes retries safe: the same key gives the same answer. Agent tokens must send it.');

/** A strong entity tag of ours, or any version. */
export const ifMatch = z
  .union(
    [z.literal('*'), z.string().regex(/^"(?:0|[1-9]\d{0,14})"$/)],
    'Must be one strong ETag of ours, e.g. "5", or *.',
  )
  .transform((tag) => (tag === '*' ? tag : Number(tag.slice(1, -1))))
  .meta({
    description:
      'The ETag that was read: refused with 412 if the item changed since. Agent tokens must send it.',
    examples: ['*'],
  });
