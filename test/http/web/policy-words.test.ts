import { describe, expect, it } from 'vitest';
import {
  CLASS_POLICY,
  DEFAULT_CLASS,
  DEFAULT_GENERAL,
  GENERAL_POLICY,
} from '../../../service/chat/policy.ts';
import type { ClassPolicy, GeneralPolicy } from '../../../service/chat/policy.ts';
import { classOf, fieldsOfClass, fieldsOfGeneral, generalOf } from '../../../service/http/web/policy-form.ts';
import { differences } from '../../../service/http/web/policy-words.ts';

const CLASS: ClassPolicy = {
  retention: {
    message: { days: 90, binDays: 14 },
    toolOutput: { days: 7, binDays: 0 },
    attachment: { days: null, binDays: 3 },
    export: { days: 1, binDays: 36_500 },
  },
  sensitive: {
    ...{ secrets: 'block', personal: 'quarantine', nationalIds: 'redact' },
    roles: { tool: { secrets: 'allow' }, user: { personal: 'block', nationalIds: 'allow' } },
  },
};
const GENERAL: GeneralPolicy = {
  breakGlass: true,
  retention: { ...DEFAULT_GENERAL.retention, export: { floorDays: 2, ceilingDays: 3 } },
  quotas: { ...DEFAULT_GENERAL.quotas, bytesPerSession: 5_000_000, messagesPerSubjectAndDay: 1 },
};

describe('policies as fields', () => {
  it.each([DEFAULT_CLASS, CLASS])('of a class come back as they were', (policy) => {
    expect(CLASS_POLICY.parse(classOf(fieldsOfClass(policy)))).toEqual(policy);
  });
  it.each([DEFAULT_GENERAL, GENERAL])('for all come back as they were', (policy) => {
    expect(GENERAL_POLICY.parse(generalOf(fieldsOfGeneral(policy)))).toEqual(policy);
  });
  it.each(['-1', '1e3', '0x10', '1.5', ' ', '٣'])('leave it to the service to refuse %j', (text) => {
    const input = { ...fieldsOfClass(CLASS), 'retention.message.days': text };
    expect(CLASS_POLICY.safeParse(classOf(input)).success).toBe(false);
  });
});

describe('differences in words', () => {
  const of = (classes: Record<string, ClassPolicy>, general = DEFAULT_GENERAL) => ({ general, classes });

  it('are none between equals, whatever the order of their members', () => {
    const { sensitive, retention } = CLASS;
    expect(differences(of({ a: CLASS }), of({ a: { sensitive, retention } }))).toEqual([]);
  });

  it('name each place with what was and what is', () => {
    const toolOutput = { days: null, binDays: 2 };
    const roles = {
      user: { personal: 'block', nationalIds: 'allow' },
      system: { secrets: 'redact' },
    } as const;
    const changed = {
      retention: { ...CLASS.retention, toolOutput },
      sensitive: { ...CLASS.sensitive, secrets: 'allow', roles },
    } as const;
    expect(differences(of({ general: CLASS }), of({ general: changed }, GENERAL))).toEqual([
      { what: 'Break-glass', before: 'off', after: 'on', retention: false },
      { what: 'Exports: kept at least', before: 'no limit', after: '2 days', retention: true },
      { what: 'Exports: kept at most', before: 'no limit', after: '3 days', retention: true },
      { what: 'Messages about one subject a day', before: 'no limit', after: '1 message', retention: false },
      {
        what: 'Bytes of one session',
        before: 'no limit',
        after: '5,000,000 bytes (5.0 MB)',
        retention: false,
      },
      { what: 'Class general, tool output: kept', before: '7 days', after: 'for ever', retention: true },
      { what: 'Class general, tool output: in the bin', before: 'no bin', after: '2 days', retention: true },
      { what: 'Class general, secrets', before: 'refused', after: 'let in', retention: false },
      {
        ...{ what: 'Class general, secrets in messages of role tool', before: 'let in' },
        ...{ after: 'as for all roles', retention: false },
      },
      {
        ...{ what: 'Class general, secrets in messages of role system', before: 'as for all roles' },
        ...{ after: 'taken out', retention: false },
      },
    ]);
  });

  it('of a class that gets a policy, or loses it, are those from the general one', () => {
    const now = of({ general: DEFAULT_CLASS });
    const personal = {
      ...DEFAULT_CLASS,
      sensitive: { ...DEFAULT_CLASS.sensitive, personal: 'block' },
    } as const;
    const own = { ...{ what: 'Class constructor', retention: false }, before: 'as class general' };
    expect(differences(now, of({ general: DEFAULT_CLASS, constructor: personal }))).toEqual([
      { ...own, after: 'a policy of its own' },
      { what: 'Class constructor, personal data', before: 'let in', after: 'refused', retention: false },
    ]);
    expect(differences(of({ general: DEFAULT_CLASS, support: DEFAULT_CLASS }), now)).toHaveLength(1);
    // What was stored without the general one had that of a new installation.
    expect(differences(of({}), now)).toEqual([]);
  });
});
