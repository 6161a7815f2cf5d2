import type { GrantView } from '../../../chat/grants/granting.ts';
import type { SessionView } from '../../../chat/types.ts';
import { html, type Html } from '../html.ts';
import type { FrameView } from './frame.ts';
import { grantPlanPanel, shareForm, type GrantForms } from './grant-forms.ts';
import { grantRow } from './grant-rows.ts';
import { notices, type GrantsPage } from './grants.ts';
import { panel, twin } from './parts.ts';

/** `/sessions/{id}/access`: who may read a session, and letting somebody in. */

export interface SessionAccessPage
  extends GrantForms, Pick<GrantsPage, 'confirm' | 'refusal' | 'done' | 'mayManage'> {
  session: SessionView;
  grants: GrantView[];
  mayShare: boolean;
}

export function sessionAccessPage(view: FrameView, page: SessionAccessPage): Html {
  const { session, grants, mayShare, names, mayManage, action } = page;
  const around = { base: action, names, mayManage, ownsSession: mayShare };
  return html`<p class="crumbs"><a href="/sessions/${session.id}">${session.title ?? 'Session'}</a></p>
    <div class="row head"><h1>Who may read it</h1></div>
    <div class="stack">
      ${notices(view, page, around)} ${grantPlanPanel(view, page, action)}
      <div class="${mayShare ? 'two' : ''}">
        <div class="stack">
          ${
            grants.length === 0
              ? panel('Grants', empty(), { bare: true })
              : panel(
                  'Grants',
                  html`<ul class="plain lines">${grants.map((grant) => grantRow(view, grant, around))}</ul>`,
                )
          }
          ${twin(view, {
            curl: `curl "$FACTORY_URL/api/governance/grants?sessionId=${session.id}" -H "Authorization: Bearer $FACTORY_TOKEN"`,
            cli: `npx factory governance grants --session ${session.id}`,
          })}
        </div>
        ${mayShare && html`<div class="stack">${panel('Share', shareForm(view, page, session.id, ''), { id: 'share' })}</div>`}
      </div>
    </div>`;
}

function empty(): Html {
  return html`<div class="empty">
    <p class="strong">Nobody was let in</p>
    <p>
      Whose session it is reads it, and so do owners where the policy lets them. A grant lets a person or the team read it, until a
      time; each reading stands in the audit log.
    </p>
  </div>`;
}
