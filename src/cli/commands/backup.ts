import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { renderFields } from '../output/table.ts';
import { bytesText, countText } from '../output/words.ts';
import { makeProgressLine } from '../progress.ts';
import type { Run } from '../run-command.ts';

/** Adds `backup`. */
export function addBackup(program: Command, run: Run): void {
  program
    .command('backup')
    .description('write a backup of the database, while servers go on')
    .argument('[file]', 'where to; castellan-TIME.tar.gz in this folder where it is left out')
    .option('--no-verify', 'do not recompute the books of the copy')
    .action(run(backup));
}

async function backup(context: Context, file: string | undefined, options: { readonly verify: boolean }): Promise<void> {
  const { readConfig } = await import('../../server/config.ts');
  const { writeBackup } = await import('../../server/backup/write-backup.ts');
  const config = await readConfig(context.settings);
  const nowMs = context.nowMs();
  const named = file ?? `castellan-${new Date(nowMs).toISOString().replace(/\.\d+/, '').replaceAll(':', '')}.tar.gz`;
  const progress = makeProgressLine(context.terminal);
  let written;
  try {
    const { dataDir, databaseUrl } = config;
    written = await writeBackup({ dataDir, databaseUrl, file: named, nowMs, isVerified: options.verify, onProgress: progress.show });
  } finally {
    progress.end();
  }
  const { manifest, bytes } = written;
  const { verification } = manifest;
  const result = {
    file: written.file,
    bytes,
    created_at: manifest.created_at,
    schema_version: manifest.schema_version,
    master_keys: manifest.master_keys,
    verification,
  };
  context.print(result, () =>
    renderFields(
      [
        ['backup', written.file],
        ['size', bytesText(bytes)],
        ['needs the master key', manifest.master_keys.join(', ') || 'of this time'],
        [
          'books',
          verification === null
            ? 'not verified'
            : `${countText(verification.entries)} entries, ${countText(verification.discrepancies)} discrepancies`,
        ],
      ],
      context,
    ),
  );
  context.terminal.err(
    'The master key is NOT in the backup, and without it the backup is of no use: keep a copy of master.key (or CASTELLAN_MASTER_KEY) somewhere\n' +
      'else. credentials.json is not in it either; a start without that file makes a new operator key.\n',
  );
  if (verification !== null && verification.discrepancies > 0)
    context.terminal.err('The books that were backed up contradict themselves: castellan verify says where.\n');
}
