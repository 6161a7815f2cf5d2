import { expect, it } from 'vitest';
import { messagesText } from '../../scripts/lib/session-text.ts';

it('says in words what cannot be read, and what was deleted, each in its place', () => {
  const message = (seq: number, more: object = {}) => ({
    ...{ seq, role: 'user', createdAt: 'T', parts: [{ type: 'text', text: `m${seq}` }], ...more },
  });
  const lost = { parts: [], unreadable: true as const };
  const messages = [message(2), message(4, lost), message(8, { ...lost, keysLostAt: 'L' })];
  const gone = [
    { from: 1, to: 1 },
    { from: 3, to: 3 },
    { from: 5, to: 7 },
  ];
  expect(messagesText({ messages, gone }).split('\n\n')).toEqual([
    'Message 1 was deleted',
    '2  user  T\nm2',
    'Message 3 was deleted',
    '4  user  T\nThis message cannot be read any more: its key is gone.',
    'Messages 5 to 7 were deleted',
    '8  user  T\nThis message cannot be read any more: its key was in the keyring that was given up as lost L.',
  ]);
  expect(messagesText({ messages: [], gone: [] })).toBe('No messages.');
});
