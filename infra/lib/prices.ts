/**
 * List prices in US dollars a month without tax, as the providers published them in 2025. They are for the budget and for
 * the difference on a pull request; the bill is the provider's.
 */
export const DROPLET_PRICES: Record<string, number> = {
  's-1vcpu-1gb': 6,
  's-1vcpu-2gb': 12,
  's-2vcpu-2gb': 18,
  's-2vcpu-4gb': 24,
  's-4vcpu-8gb': 48,
  's-1vcpu-1gb-amd': 7,
  's-1vcpu-2gb-amd': 14,
  's-2vcpu-2gb-amd': 21,
  's-2vcpu-4gb-amd': 28,
  's-4vcpu-8gb-amd': 56,
  's-1vcpu-1gb-intel': 8,
  's-1vcpu-2gb-intel': 16,
  's-2vcpu-2gb-intel': 24,
  's-2vcpu-4gb-intel': 32,
  's-4vcpu-8gb-intel': 64,
};

/** Spaces is a subscription of the account that holds 250 GiB. */
const SPACES = { subscription: 5, includedGb: 250, perGb: 0.02 };
const PER_GB = { b2: 0.006, s3: 0.0245 };

export interface CostItem {
  what: string;
  monthly: number;
}
export interface MonthlyCost {
  currency: 'USD';
  items: CostItem[];
  total: number;
}

interface Costly {
  host: 'own' | 'production';
  size: string;
  backups: { provider: 'spaces' | 'b2' | 's3'; bucket: string }[];
  backupGb: number;
}

const cents = (dollars: number): number => Math.round(dollars * 100) / 100;

function storage(provider: 'spaces' | 'b2' | 's3', gb: number): number {
  if (provider !== 'spaces') return PER_GB[provider] * gb;
  return SPACES.subscription + SPACES.perGb * Math.max(0, gb - SPACES.includedGb);
}

/** What a stack costs each month. A Reserved IP costs nothing while it is assigned; DNS, VPC and firewall nothing at all. */
export function monthlyCost(stack: Costly): MonthlyCost {
  const droplet = { what: `droplet ${stack.size}`, monthly: DROPLET_PRICES[stack.size] ?? NaN };
  const stores = stack.backups.map(({ provider, bucket }) => ({
    what: `${provider} ${bucket}, ${stack.backupGb} GB`,
    monthly: cents(storage(provider, stack.backupGb)),
  }));
  const items = stack.host === 'own' ? [droplet, ...stores] : stores;
  return { currency: 'USD', items, total: cents(items.reduce((sum, item) => sum + item.monthly, 0)) };
}

/** What a change costs or saves, item by item: for a pull request. */
export function costDifference(before: MonthlyCost, after: MonthlyCost): CostItem[] {
  const names = new Set([...before.items, ...after.items].map((item) => item.what));
  const of = (cost: MonthlyCost, what: string): number =>
    cost.items.find((item) => item.what === what)?.monthly ?? 0;
  return [...names]
    .map((what) => ({ what, monthly: cents(of(after, what) - of(before, what)) }))
    .filter((item) => item.monthly !== 0);
}
