import { expect, it } from 'vitest';
import { hitsText } from '../../scripts/lib/session-text.ts';

it('says of each hit what it stands in', () => {
  const of = { sessionId: 'S', createdAt: 'T', snippet: 'a  hit' };
  const none = { messageId: null, role: null, attachment: null };
  expect(
    hitsText([
      { ...of, ...none, in: 'title' },
      { ...of, ...none, in: 'message', messageId: 'S.1', role: 'user' },
      { ...of, in: 'attachment', messageId: 'S.1', role: 'user', attachment: { name: 'a.txt' } },
    ]),
  ).toBe('S  title  T\n  a hit\n\nS.1  user  T\n  a hit\n\nS.1  user  file a.txt  T\n  a hit');
  expect(hitsText([])).toBe('Nothing found.');
});
