import type { Command } from 'commander';
import { ServerUnreachable } from '../../client/errors.ts';
import type { Verification } from '../../client/wire.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { counted, countText } from '../output/words.ts';
import type { Run } from '../run-command.ts';

const COLUMNS: readonly Column<Verification['discrepancies'][number]>[] = [
  { head: 'CHECK', text: ({ check }) => check },
  { head: 'SUBJECT', text: ({ subject }) => subject },
  { head: 'FOUND', text: ({ found }) => found },
  { head: 'EXPECTED', text: ({ expected }) => expected },
];

/** Adds `verify`. */
export function addVerify(program: Command, run: Run): void {
  program
    .command('verify')
    .description('recompute every balance from the journal, by the server or, where none answers, on its data')
    .option('--offline', 'read the data folder or the database itself, whether a server runs or not')
    .action(run(verify));
}

async function verify(context: Context, options: { readonly offline?: boolean }): Promise<void> {
  const verification = options.offline === true ? await verifyOffline(context) : await verifyAnyhow(context);
  const { accounts, entries, reservations, discrepancies } = verification;
  context.print(verification, () => {
    const fields = renderFields(
      [
        ['accounts', countText(accounts)],
        ['entries', countText(entries)],
        ['reservations', countText(reservations)],
        ['discrepancies', discrepancies.length === 0 ? 'none: the books hold' : countText(discrepancies.length)],
      ],
      context,
    );
    return discrepancies.length === 0 ? fields : `${fields}\n${renderTable(COLUMNS, discrepancies, context)}`;
  });
  if (discrepancies.length > 0) {
    context.terminal.err(`The books contradict themselves in ${counted(discrepancies.length, 'place')}.\n`);
    context.endWith(EXIT.found);
  }
}

async function verifyAnyhow(context: Context): Promise<Verification> {
  // An address that was given is the one that is meant, and no other store.
  if (context.settings['CASTELLAN_URL'] !== undefined && context.settings['CASTELLAN_URL'] !== '') return context.client().verify();
  try {
    return await context.client().verify();
  } catch (error) {
    if (!(error instanceof ServerUnreachable) && !(error instanceof CommandError)) throw error;
    context.terminal.err('No server answers: the data itself is read.\n');
    return verifyOffline(context);
  }
}

async function verifyOffline({ settings }: Context): Promise<Verification> {
  const { readConfig } = await import('../../server/config.ts');
  const { verifyStore } = await import('../../server/verify-store.ts');
  return verifyStore(await readConfig({ ...settings, CASTELLAN_CONFIG: '' }));
}
