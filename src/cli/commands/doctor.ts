import type { Command } from 'commander';
import type { Finding, Status } from '../../server/doctor/finding.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { shown } from '../output/table.ts';
import type { Run } from '../run-command.ts';

const COLOURS: Readonly<Record<Status, number>> = { ok: 32, warn: 33, fail: 31 };
const WIDTH = 4;

/** Adds `doctor`. */
export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .description('say what is wrong with configuration, ports, disk, clock, database and secrets, and how to mend it')
    .action(run(doctor));
}

async function doctor(context: Context): Promise<void> {
  const { examine } = await import('../../server/doctor/doctor.ts');
  const findings = await examine({ env: context.settings, send: context.send, nowMs: context.nowMs });
  context.print({ findings }, () => findings.map((finding) => lineOf(finding, context.isColoured)).join(''));
  if (findings.some(({ status }) => status === 'fail')) context.endWith(EXIT.found);
}

function lineOf({ status, check, message }: Finding, isColoured: boolean): string {
  const word = status.padEnd(WIDTH);
  return `${isColoured ? `\u001b[${COLOURS[status]}m${word}\u001b[39m` : word} ${check}: ${shown(message)}\n`;
}
