import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between a server and its PostgreSQL, and loses what a test wants lost. */
export interface LossyProxy {
  /** The database's address through the proxy. */
  readonly url: string;
  /**
   * From now on the next `count` COMMITs reach the database and are carried out there, and then the connection breaks before their
   * answer arrives. Resolves when the last of them has been lost.
   */
  loseAnswersToCommit(count: number): Promise<void>;
  /** Breaks every connection and takes no new ones until `heal`. */
  cut(): void;
  heal(): void;
  close(): Promise<void>;
}

/** ReadyForQuery outside of a transaction: what follows an answer to COMMIT. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Starts a proxy in front of the database at `url`. */
export async function startLossyProxy(url: string): Promise<LossyProxy> {
  const target = new URL(url);
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  let toLose = 0;
  let lost = (): void => undefined;
  let isCut = false;

  const relay = (near: Socket): void => {
    near.on('error', () => near.destroy());
    if (isCut) return void near.destroy();
    const far = connect(Number(target.port), target.hostname);
    const pair = { near, far };
    pairs.add(pair);
    let losing = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
      pairs.delete(pair);
    };
    near.on('data', (data: Buffer) => {
      if (toLose > 0 && !losing && isCommit(data)) {
        losing = true;
        toLose -= 1;
      }
      far.write(data);
    });
    far.on('data', (data: Buffer) => {
      if (!losing) return void near.write(data);
      if (!data.includes(READY)) return;
      end();
      if (toLose === 0) lost();
    });
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  };

  const server = createServer(relay).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.hostname = '127.0.0.1';
  own.port = String((server.address() as AddressInfo).port);
  const breakAll = (): void => {
    for (const { near, far } of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    url: own.href,
    loseAnswersToCommit: (count) =>
      new Promise((resolve) => {
        lost = resolve;
        toLose = count;
      }),
    cut: () => {
      isCut = true;
      breakAll();
    },
    heal: () => {
      isCut = false;
    },
    close: async () => {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A COMMIT as text, or as the execution of a statement that was prepared under that name. */
const isCommit = (data: Buffer): boolean => /\bcommit\0|\bCOMMIT\b/.test(data.toString('latin1'));
