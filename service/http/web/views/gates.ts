import type { GateFact, GateResult } from '../../../work-items/types.ts';
import { relative, valueText } from '../format.ts';
import { html, type Html } from '../html.ts';
import { icon, VERDICT_MARK, type View } from './parts.ts';

/** Gates as the item page, a plan and a decision show them. */

/** Gates that stand in the way; unknown counts as blocked. */
export function blocking(gates: GateResult[]): GateResult[] {
  return gates.filter(({ verdict }) => verdict === 'blocked' || verdict === 'unknown');
}

/** `policy gate <gate>: <verdict> (<reason>)` in one run of text; no reason where it passes. */
export function gateLine(view: View, { gate, verdict, reason }: GateResult): Html {
  const mark = VERDICT_MARK[verdict];
  const because = verdict !== 'pass' && reason !== '' && html` <span class="muted">(${reason})</span>`;
  return html`<li>
    <span class="${mark.tone}">${icon(view, mark.icon)}</span
    ><span>policy gate <code>${gate}</code>: ${verdict}${because}</span>
  </li> `;
}

/** The facts under the verdicts, each once, with their age. */
export function factsTable(view: View, gates: GateResult[]): Html | null {
  const facts = new Map<string, GateFact>();
  for (const one of gates.flatMap((gate) => gate.facts)) facts.set(`${one.source}\n${one.path}`, one);
  if (facts.size === 0) return null;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Facts relied on">
    <table class="compact">
      <thead>
        <tr>
          <th scope="col">Source</th>
          <th scope="col">Fact</th>
          <th scope="col">Value</th>
          <th scope="col" class="n">Seen</th>
        </tr>
      </thead>
      <tbody>
        ${[...facts.values()].map(
          ({ source, path, value, observedAt }) =>
            html`<tr>
              <td>${source}</td>
              <td><code>${path}</code></td>
              <td class="breakable">${valueText(value)}</td>
              <td class="n">${observedAt === null ? 'in the plan' : relative(observedAt, view.now)}</td>
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}
