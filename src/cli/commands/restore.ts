import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { renderFields } from '../output/table.ts';
import { countText, momentText } from '../output/words.ts';
import { makeProgressLine } from '../progress.ts';
import type { Run } from '../run-command.ts';

/** Adds `restore`. */
export function addRestore(program: Command, run: Run): void {
  program
    .command('restore')
    .description('restore a backup into an empty data folder, or an empty database')
    .argument('<file>', 'a file that castellan backup wrote')
    .action(run(restore));
}

async function restore(context: Context, file: string): Promise<void> {
  const { readConfig } = await import('../../server/config.ts');
  const { restoreBackup } = await import('../../server/backup/restore-backup.ts');
  // The file may name what this machine does not have yet; a restore needs none of it.
  const { dataDir, databaseUrl, ...configured } = await readConfig({ ...context.settings, CASTELLAN_CONFIG: '' });
  const progress = makeProgressLine(context.terminal);
  let restored;
  try {
    restored = await restoreBackup({ file, dataDir, databaseUrl, configured, nowMs: context.nowMs(), onProgress: progress.show });
  } finally {
    progress.end();
  }
  const { manifest, isVerified, closed, headsAside } = restored;
  const { verification } = manifest;
  const place = databaseUrl === null ? dataDir : 'the database at DATABASE_URL';
  const result = {
    restored_into: databaseUrl === null ? dataDir : 'postgres',
    created_at: manifest.created_at,
    schema_version: manifest.schema_version,
    verified: isVerified,
    verification,
  };
  context.print(result, () =>
    renderFields(
      [
        ['restored into', place],
        ['backup of (UTC)', momentText(manifest.created_at)],
        [
          'books',
          isVerified && verification !== null
            ? `the same: ${countText(verification.entries)} entries, ${countText(verification.discrepancies)} discrepancies`
            : 'not verified: run castellan verify',
        ],
      ],
      context,
    ),
  );
  if (closed.length > 0)
    context.terminal.err(
      `${countText(closed.length)} secrets open with no master key, as they did when they were backed up; the first is in the ${closed[0]}.\n`,
    );
  if (headsAside !== null)
    context.terminal.err(
      `Ends of an audit trail were exported into ${dataDir} before: they are kept in ${headsAside}, and the export begins anew.\n`,
    );
  context.terminal.err('Start a server on it with castellan start. Where credentials.json is missing, that makes a new operator key.\n');
}
