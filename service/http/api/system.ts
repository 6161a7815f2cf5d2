import { z } from 'zod';
import { sendJson, sendText } from '../operation.ts';
import { operation } from './context.ts';
import { named, whole } from './schemas/fields.ts';
import { health } from './schemas/system.ts';

/** Health, metrics and live events. */

const TAG = 'Operations';

const showHealth = operation({
  ...{ method: 'get', path: '/api/health', id: 'showHealth', tag: TAG, access: 'public' },
  summary: 'Whether the service can do its work',
  description: '503 when the database cannot be written; everything else leaves it at most degraded.',
  responses: {
    200: { description: 'It can; `degraded` says what needs attention.', schema: health },
    503: { description: 'It cannot.', schema: health },
  },
  async handle({ res }, context) {
    const document = await context.health.check();
    const failing = document.status === 'failing';
    if (failing) res.set('Retry-After', '5');
    sendJson(res, failing ? 503 : 200, document);
  },
});

const showMetrics = operation({
  ...{ method: 'get', path: '/metrics', id: 'showMetrics', tag: TAG, access: 'factory.metrics.read' },
  summary: 'Metrics for Prometheus',
  responses: {
    200: { description: 'Text exposition format.', schema: z.string(), contentType: 'text/plain' },
  },
  async handle({ res }, { metrics }) {
    sendText(res, 200, metrics.contentType, await metrics.text());
  },
});

/** One event of the stream, as its fields. */
const streamedEvent = named(
  'StreamedEvent',
  z.strictObject({
    id: z.string().regex(/^\d+$/).describe('`seq` of the event.'),
    event: z.literal('item'),
    data: z.string().meta({
      contentMediaType: 'application/json',
      contentSchema: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          version: { type: 'integer' },
          lane: { type: 'string' },
          type: { type: 'string' },
          at: { type: 'string', format: 'date-time' },
        },
        required: ['id', 'version', 'type', 'at'],
        additionalProperties: false,
      },
    }),
  }),
);

const eventSeq = whole(0, Number.MAX_SAFE_INTEGER);

const streamEvents = operation({
  ...{ method: 'get', path: '/api/events', id: 'streamEvents', tag: TAG, access: 'signed-in' },
  summary: 'Changes of work items as they happen, as server-sent events',
  description:
    'Each `item` event has its `seq` as id and `{id, version, lane?, type, at}` as data; `lane` where the item moved. ' +
    'A stream that starts with the last id that was seen misses nothing.',
  query: z.strictObject({
    lastEventId: eventSeq.optional().describe('For clients that cannot send the header.'),
  }),
  headers: z.strictObject({ 'Last-Event-ID': eventSeq.optional().describe('The last event that was seen.') }),
  responses: {
    200: { description: 'A stream without end.', schema: streamedEvent, contentType: 'text/event-stream' },
  },
  async handle({ req, res, principal, query, headers }, { feed }) {
    await feed.serve(req, res, principal.personId, headers['Last-Event-ID'] ?? query.lastEventId ?? null);
  },
});

export const systemOperations = [showHealth, showMetrics, streamEvents];
