import * as pulumi from '@pulumi/pulumi';
import { registerStackTransformation } from '@pulumi/pulumi/runtime/index.js';
import type { Config } from './config.ts';
import { DIGITALOCEAN, FINDERS, refuseDouble, type Account } from './lib/digitalocean.ts';
import { monthlyCost } from './lib/prices.ts';
import { broken, OPAQUE, overBudget, type Planned } from './policy/rules.ts';

/** Plain values as they are; what only the provider will know is OPAQUE. */
export function seen(value: unknown): unknown {
  if (pulumi.Output.isInstance(value) || value instanceof Promise) return OPAQUE;
  if (Array.isArray(value)) return value.map(seen);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, seen(inner)]));
}

/** The account that the provider uses, from the same places. */
function account(): Account {
  const config = new pulumi.Config('digitalocean');
  const token =
    config.get('token') ?? process.env.DIGITALOCEAN_TOKEN ?? process.env.DIGITALOCEAN_ACCESS_TOKEN ?? '';
  const endpoint = config.get('apiEndpoint') ?? process.env.DIGITALOCEAN_API_URL ?? DIGITALOCEAN;
  return { token, endpoint: endpoint.replace(/\/$/, '') };
}

/** Inputs of a hook: secrets are wrapped, and none of ours is one that is searched by. */
const plain = (inputs: unknown): Record<string, unknown> => (inputs ?? {}) as Record<string, unknown>;

/**
 * What holds without a policy pack too: each resource is judged before it is registered, a stack above its budget is
 * refused, and nothing is created that the account has already under its name.
 */
export function installGuards(config: Config): void {
  const tooDear = overBudget(monthlyCost(config).total, config.monthlyBudget);
  if (tooDear !== null) throw new pulumi.RunError(tooDear);
  // Runs before a create only, never in a preview, and not for what the stack's state has.
  const notThereYet = new pulumi.ResourceHook('not-there-yet', ({ type, name, newInputs }) =>
    refuseDouble(
      account(),
      { type, name, inputs: plain(newInputs), stack: config.environment },
      config.otherReservedIps,
    ),
  );
  registerStackTransformation(({ type, name, props, opts }) => {
    const planned: Planned = {
      type,
      name,
      props: seen(props) as Planned['props'],
      protect: opts.protect === true,
    };
    const problems = broken(planned);
    if (problems.length > 0) throw new pulumi.RunError(problems.join('\n'));
    if (!Object.hasOwn(FINDERS, type)) return undefined;
    return { props, opts: { ...opts, hooks: { beforeCreate: [notThereYet] } } };
  });
}
