import type { VerbContext } from '../verb.ts';

/** Said once, where the key was just made. */
export function sayMade({ say }: Pick<VerbContext, 'say'>, path: string): void {
  say(`The recovery key was made: ${path}`);
  say(
    'It reads every backup of this installation. Copy it to another machine now, and keep it as you keep passwords:',
  );
  say('when this disk is lost, backups without it are lost as well.');
}
