import type { People } from '../access/people.ts';
import { presetOf } from './facts.ts';
import type { Policy } from './types.ts';

/** What other parts ask of the people and of the policy about a second person's part. */
export function peopleFacts(people: Pick<People, 'list'>, policy: () => Policy) {
  const present = async () => (await people.list()).filter(({ status }) => status !== 'removed');
  return {
    isMember: async (id: string): Promise<boolean> => (await present()).some((one) => one.id === id),
    async secondPerson(): Promise<{ preset: 'solo' | 'team'; waitSeconds: number }> {
      const active = (await present()).filter(({ status }) => status === 'active');
      return { preset: presetOf(policy(), active.length), waitSeconds: policy().soloWaitSeconds };
    },
  };
}
