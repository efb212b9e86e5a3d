import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { describe, test } from 'vitest';

/** A PostgreSQL server of our own: temporary folder, loopback port, unprivileged user. */
export interface PostgresCluster {
  readonly port: number;
  readonly dataDir: string;
  /** Address of a database of the cluster, as its superuser. */
  url(database?: string): string;
  /** Makes an empty database, or a copy of the one at an address that nobody is connected to, and returns its address. */
  createDatabase(from?: string): Promise<string>;
  /** Deletes the database at an address, whoever is still connected to it. */
  dropDatabase(url: string): Promise<void>;
  /** Starts the server again: one that ended by itself, or one that is ended at once for it, as by a loss of power. */
  start(): Promise<void>;
  /** Runs statements as superuser and returns the rows of the last one. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** What the server wrote to its log so far. */
  log(): string;
  /** Ends the server and deletes its folder. */
  stop(): Promise<void>;
}

/** Options of {@link startPostgresCluster}. `fsync` stays on unless a test only wants speed. */
export interface ClusterOptions {
  readonly fsync?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** Size of a segment of the write-ahead log, in MB: a power of two. The server's own default is 16. */
  readonly walSegmentMb?: number;
  /** A folder to be made for the write-ahead log, such as one on a file system of its own. */
  readonly walFolder?: string;
  /** An empty folder to hold the cluster instead of a temporary one, such as a small file system. It is left in place. */
  readonly folder?: string;
}

/** The oldest server that the store takes. */
const LEAST_MAJOR = 15;
const SUPERUSER = 'castellan';

/** A line of the log: what follows it was written by a server that was started just then. */
const STARTING = 'the supervisor starts the server';

/**
 * Starts the server for each line of its standard input, after ending the one before; when the input ends, ends the server at once and
 * deletes the folder. So the server goes even when the test process is killed: the kernel closes the pipe.
 */
const SUPERVISOR = `
postgres=$1; data=$2; remove=$3; shift 3
stop() { [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }
while read -r _start; do
  stop
  echo "${STARTING}"
  "$postgres" -D "$data" "$@" </dev/null &
  pid=$!
done
stop
[ -n "$remove" ] && rm -rf "$remove"
exit 0
`;

const majorOf = (folder: string): number => {
  const run = spawnSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' });
  return run.status === 0 ? Number(/(\d+)/.exec(run.stdout)?.[1] ?? 0) : 0;
};

/** The folder of the newest installed server binaries that are new enough, or null. */
export function postgresBinaries(): string | null {
  const folders = [...globSync('/usr/lib/postgresql/*/bin'), ...(process.env['PATH'] ?? '').split(delimiter)];
  const found = folders
    .filter((folder) => folder !== '' && existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
    .map((folder) => ({ folder, major: majorOf(folder) }))
    .filter(({ major }) => major >= LEAST_MAJOR)
    .toSorted((a, b) => b.major - a.major);
  return found[0]?.folder ?? null;
}

/** The user to run as: the server refuses to run as root. Undefined where we are not root anyway. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }] as const),
  );
  const user = users.get('postgres') ?? users.get('nobody');
  if (user === undefined) throw new Error('Running as root, and there is neither a user postgres nor nobody to run the server as.');
  return user;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const result: unknown = await client.query(text);
    const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Record<string, unknown>[] };
    return last.rows;
  } finally {
    await client.end();
  }
}

const HAS_ENDED = /could not bind|could not create any TCP\/IP sockets|database system is shut down|invalid value for parameter/;

/** Starts the server, and waits until it answers. Throws its log where it does not. */
async function startServer(url: string, supervisor: ChildProcess, log: () => string): Promise<void> {
  const starts = log().split(STARTING).length;
  supervisor.stdin?.write('start\n');
  const deadlineMs = Date.now() + 30_000;
  for (;;) {
    try {
      await query(url, 'SELECT 1');
      return;
    } catch (error) {
      const said = log().split(STARTING).slice(starts).join('');
      if (HAS_ENDED.test(said) || Date.now() > deadlineMs) throw new Error(`PostgreSQL did not start:\n${said}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const stopChild = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.stdin?.end();
  await ended;
};

type User = ReturnType<typeof unprivilegedUser>;

/** Runs `initdb`, with these options beyond those that every cluster has. */
function runInitdb(bin: string, user: User, dataDir: string, more: readonly string[] = []): void {
  const every = ['-D', dataDir, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'];
  const initdb = spawnSync(join(bin, 'initdb'), [...every, ...more], { ...user, cwd: '/', encoding: 'utf8' });
  if (initdb.status !== 0) throw new Error(`initdb failed: ${initdb.stderr}`);
}

/** Names the folder of what the clusters of a run of tests have in common. */
const SHARED_FOLDER = 'CASTELLAN_TEST_POSTGRES';

/** Makes the folder in which the first cluster of a run leaves an initialized data folder for all others. Returns what deletes it. */
export function shareClusterData(): () => void {
  if (process.env[SHARED_FOLDER] !== undefined) return () => undefined;
  const folder = mkdtempSync(join(tmpdir(), 'castellan-postgres-shared-'));
  const user = unprivilegedUser();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  process.env[SHARED_FOLDER] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** A data folder to copy, which costs a fifth of an `initdb`; null outside of a run. Several that need it first may each make one. */
function sharedData(bin: string, user: User): string | null {
  const folder = process.env[SHARED_FOLDER];
  if (folder === undefined) return null;
  const data = join(folder, 'data');
  if (existsSync(data)) return data;
  const own = join(folder, `data-${process.pid}-${randomUUID()}`);
  runInitdb(bin, user, own);
  try {
    renameSync(own, data);
  } catch {
    // Another one was first, and what it made is the same.
    rmSync(own, { recursive: true });
  }
  return data;
}

/** Fills the data folder of a new cluster. */
function initializeData(
  bin: string,
  user: User,
  { dataDir, walSegmentMb, walFolder }: ClusterOptions & { readonly dataDir: string },
): void {
  const isSpecial = walSegmentMb !== undefined || walFolder !== undefined;
  const shared = isSpecial ? null : sharedData(bin, user);
  if (shared === null) {
    const segment = walSegmentMb === undefined ? [] : [`--wal-segsize=${walSegmentMb}`];
    return runInitdb(bin, user, dataDir, [...segment, ...(walFolder === undefined ? [] : ['-X', walFolder])]);
  }
  // By the user of the server, so that the copy is its own.
  const copy = spawnSync('cp', ['-R', `${shared}/.`, dataDir], { ...user, cwd: '/', encoding: 'utf8' });
  if (copy.status !== 0) throw new Error(`copying a cluster failed: ${copy.stderr}`);
}

/** Makes a cluster and starts it. Takes about a second. */
export async function startPostgresCluster(options: ClusterOptions = {}, attemptsLeft = 3): Promise<PostgresCluster> {
  const bin = postgresBinaries();
  if (bin === null) throw new Error(MISSING);
  const user = unprivilegedUser();
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'castellan-postgres-'));
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir, { recursive: true });
  for (const path of [folder, dataDir]) {
    chmodSync(path, 0o700);
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  }
  initializeData(bin, user, { ...options, dataDir });

  const logFile = join(folder, 'server.log');
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const port = await freePort();
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: options.fsync === false ? 'off' : 'on',
    max_wal_size: '1GB',
    max_connections: '100',
    ...options.settings,
  };
  const logFd = openSync(logFile, 'a');
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      SUPERVISOR,
      'castellan-postgres',
      join(bin, 'postgres'),
      dataDir,
      options.folder === undefined ? folder : '',
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { ...user, cwd: '/', stdio: ['pipe', logFd, logFd] },
  );
  closeSync(logFd);
  const url = (database = 'postgres'): string => `postgresql://${SUPERUSER}@127.0.0.1:${port}/${database}`;
  try {
    await startServer(url(), child, log);
  } catch (error) {
    const reason = log();
    await stopChild(child);
    // Another program may have taken the port between our look and the server's start.
    if (attemptsLeft === 0 || !reason.includes('could not bind')) throw error;
    rmSync(dataDir, { recursive: true, force: true });
    return startPostgresCluster(options, attemptsLeft - 1);
  }
  let databases = 0;
  return {
    port,
    dataDir,
    url,
    async createDatabase(from) {
      databases += 1;
      const name = `test_${process.pid}_${databases}`;
      await query(url(), `CREATE DATABASE ${name}${from === undefined ? '' : ` TEMPLATE ${new URL(from).pathname.slice(1)}`}`);
      return url(name);
    },
    dropDatabase: async (of) => void (await query(url(), `DROP DATABASE ${new URL(of).pathname.slice(1)} WITH (FORCE)`)),
    start: () => startServer(url(), child, log),
    sql: (text, database) => query(url(database), text),
    log,
    async stop() {
      await stopChild(child);
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

const MISSING = 'No PostgreSQL 15 or newer is installed: `apt-get install postgresql-15` brings one (its own cluster is not needed).';

/**
 * A group of tests that needs a PostgreSQL server. Without the server's binaries it is skipped, which is printed and counted; in CI it
 * fails instead.
 */
export function describePostgres(name: string, body: () => void): void {
  const isMissing = postgresBinaries() === null;
  if (isMissing && process.env['CI'] !== undefined) {
    test(name, () => {
      throw new Error(MISSING);
    });
    return;
  }
  describe.skipIf(isMissing)(isMissing ? `${name} (${MISSING})` : name, body);
}
