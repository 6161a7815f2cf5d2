// The rules for Pulumi's engine, which also knows what the program could not know yet: `up --policy-pack infra/policy`.
// Plain JavaScript, because Pulumi compiles the entry of a pack by itself if it is TypeScript.

import { PolicyPack } from '@pulumi/policy';
import { RULES } from './rules.ts';

new PolicyPack('build-factory', {
  policies: RULES.map((rule) => ({
    name: rule.name,
    description: rule.description,
    enforcementLevel: 'mandatory',
    validateResource: ({ type, name, props, opts }, report) => {
      const problem = rule.check({ type, name, props: { ...props }, protect: opts.protect });
      if (problem !== null) report(`${name}: ${problem}`);
    },
  })),
});
