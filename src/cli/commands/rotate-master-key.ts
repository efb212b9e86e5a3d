import type { Command } from 'commander';
import { renderFields } from '../output/table.ts';
import { countText } from '../output/words.ts';
import type { Run } from '../run-command.ts';

/** Adds `rotate-master-key`. */
export function addRotateMasterKey(program: Command, run: Run): void {
  program
    .command('rotate-master-key')
    .description('seal every secret with a new master key, while the server runs')
    .action(
      run(async (context) => {
        const change = await context.client().rotateMasterKey();
        context.print(change, () =>
          renderFields(
            [
              ['new master key', change.to_key_id],
              ['old master key', change.from_key_id],
              ['values sealed anew', countText(change.resealed)],
            ],
            context,
          ),
        );
        if (context.options.output === 'table') {
          context.terminal.err(
            'The database needs only the new key now. Backups made before still need the old one: it is in master.key.previous in the\n' +
              'data folder (or where you keep CASTELLAN_MASTER_KEY_PREVIOUS). Copy the new master.key to where you keep such things.\n',
          );
        }
      }),
    );
}
