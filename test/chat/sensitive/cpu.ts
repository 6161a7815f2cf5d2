import { detect, newBudget } from '../../../service/chat/sensitive/detect.ts';
import type { Category } from '../../../service/chat/sensitive/hit.ts';

/** Milliseconds that this thread works to look through a text, whatever else the machine does. */
export function cpuOf(text: string, categories: Category[]): number {
  const before = process.threadCpuUsage();
  detect(text, categories, newBudget(60_000));
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}
