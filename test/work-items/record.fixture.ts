import type { RecordFields } from '../../service/work-items/types.ts';

export const HEAD = ['id: wi-BF-7', 'title: Größe 測量 🚀', 'status: ready', 'workType: implementation'];
export const TAIL = [
  'branch: bf/BF-7',
  'validation: null',
  'pr:',
  'criteria:',
  '  - It holds.',
  "  - 'It: too'",
];

export function record(head: string[] = HEAD, tail: string[] = TAIL, body = 'The summary.\n\nMore.'): string {
  return ['---', ...head, ...tail, '---', '', body, ''].join('\n');
}

export const FIELDS: RecordFields = {
  id: 'wi-BF-7',
  title: 'Größe 測量 🚀',
  summary: 'The summary.\n\nMore.',
  status: 'ready',
  workType: 'implementation',
  branch: 'bf/BF-7',
  validation: null,
  pr: null,
  criteria: ['It holds.', 'It: too'],
  blockedBy: [],
  supersedes: null,
};
