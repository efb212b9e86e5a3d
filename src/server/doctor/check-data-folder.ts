import { closeSync, existsSync, fsyncSync, openSync, readdirSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { refuseUnfinishedRestore } from '../backup/unfinished-restore.ts';
import { ConfigError } from '../config-error.ts';
import { codeOf } from '../data-folder.ts';
import { type Finding, findingsOf } from './finding.ts';

const MIB = 1024 * 1024;
const LEAST_FREE_BYTES = 64 * MIB;
const LITTLE_FREE_BYTES = 1024 * MIB;
const LITTLE_FREE_SHARE = 0.05;
const LITTLE_INODES_SHARE = 0.01;
/** Every batch waits for one flush of the disk. */
const SLOW_FLUSH_MS = 50;
const FLUSHES = 5;
const SECRET_FILES = ['master.key', 'master.key.next', 'master.key.previous', 'credentials.json'];

const folder = findingsOf('data folder');
const disk = findingsOf('disk');

/** Looks at the data folder: whether it can be used, by whom else, and at the disk below it. */
export function checkDataFolder(dataDir: string, isEmbedded: boolean): Finding[] {
  const existing = nearestExisting(dataDir);
  if (existing !== dataDir) {
    const probe = checkFlush(existing);
    const isUsable = probe.every(({ status }) => status !== 'fail');
    const text = `${dataDir} does not exist yet`;
    return [
      isUsable
        ? folder.ok(`${text}; the first start makes it`)
        : folder.fail(`${text}, and cannot be made: give this user the right to write ${existing}, or set CASTELLAN_DATA_DIR.`),
      ...checkSpace(existing),
    ];
  }
  if (!statSync(dataDir).isDirectory())
    return [folder.fail(`${dataDir} is no folder: remove it, or set CASTELLAN_DATA_DIR to another name.`)];
  return [...checkRights(dataDir), ...checkUnfinished(dataDir, isEmbedded), ...checkFlush(dataDir), ...checkSpace(dataDir)];
}

const nearestExisting = (path: string): string => (existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path)));

function checkRights(dataDir: string): Finding[] {
  // Windows has other rights than these.
  if (process.platform === 'win32') return [folder.ok(dataDir)];
  const findings: Finding[] = [];
  const { mode } = statSync(dataDir);
  if ((mode & 0o077) !== 0) findings.push(folder.warn(`other users of this machine may look into ${dataDir}: chmod 700 ${dataDir}.`));
  for (const name of readable(dataDir).filter((each) => SECRET_FILES.includes(each))) {
    const file = join(dataDir, name);
    if ((statSync(file).mode & 0o077) !== 0) findings.push(folder.fail(`other users of this machine may read ${file}: chmod 600 ${file}.`));
  }
  return findings.length > 0 ? findings : [folder.ok(`${dataDir} is its owner's only`)];
}

function readable(dataDir: string): string[] {
  try {
    return readdirSync(dataDir);
  } catch {
    return [];
  }
}

function checkUnfinished(dataDir: string, isEmbedded: boolean): Finding[] {
  if (!isEmbedded) return [];
  try {
    refuseUnfinishedRestore(dataDir);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [folder.fail(error.message)];
    throw error;
  }
}

/** Writes and flushes a little file several times, as every batch does. */
function checkFlush(at: string): Finding[] {
  const path = join(at, `.doctor-${process.pid}`);
  try {
    const file = openSync(path, 'wx', 0o600);
    try {
      const times = Array.from({ length: FLUSHES }, () => {
        const startedMs = performance.now();
        writeSync(file, Buffer.alloc(4096), 0, 4096, 0);
        fsyncSync(file);
        return performance.now() - startedMs;
      });
      const medianMs = times.toSorted((a, b) => a - b)[Math.floor(FLUSHES / 2)] ?? 0;
      const text = `a flush takes ${medianMs.toFixed(1)} ms`;
      return [
        medianMs < SLOW_FLUSH_MS
          ? disk.ok(text)
          : disk.warn(`${text}, and every batch waits for one: put the data folder on a faster disk.`),
      ];
    } finally {
      closeSync(file);
      rmSync(path, { force: true });
    }
  } catch (error) {
    return [
      folder.fail(`${at} cannot be written (${codeOf(error)}): give this user the right to, or set CASTELLAN_DATA_DIR to another folder.`),
    ];
  }
}

function checkSpace(at: string): Finding[] {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(at);
  const freeBytes = bavail * bsize;
  const text = `${Math.floor(freeBytes / MIB)} MiB are free`;
  const findings: Finding[] = [];
  if (freeBytes < LEAST_FREE_BYTES) findings.push(disk.fail(`${text}, which is too little to work: make room on the disk of ${at}.`));
  else if (freeBytes < LITTLE_FREE_BYTES || bavail < blocks * LITTLE_FREE_SHARE)
    findings.push(disk.warn(`${text}: make room on the disk of ${at} before it is full.`));
  else findings.push(disk.ok(text));
  // Some file systems count none.
  if (files > 0 && ffree < files * LITTLE_INODES_SHARE)
    findings.push(disk.warn(`hardly any file can be made any more: remove files from the disk of ${at}.`));
  return findings;
}
