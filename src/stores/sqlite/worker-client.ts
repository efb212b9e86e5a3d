import { Worker } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.ts';
import { decodeError, storeUnavailable } from './worker-errors.ts';

/** A worker thread that answers requests in the order in which they come. */
export interface WorkerClient<R> {
  /** Rejects with what the worker threw, or with a `Fault` `store_unavailable` where it is gone. */
  request(request: R): Promise<unknown>;
  /** Lets the worker answer what it was asked, close its connections and end. */
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * What of a thread's memory holds objects that live for one request. What it is by default grows to a multiple of this under load, for no gain
 * in time, and is never given back.
 */
const MAX_YOUNG_MIB = 8;

/**
 * What a worker is started with. `onLost` is called once where the worker was ready and ends without being told to, `onNotice` where it
 * has something for the log once it is ready.
 */
export interface WorkerOptions {
  readonly url: URL;
  readonly name: string;
  readonly data: unknown;
  readonly onLost?: (error: Error) => void;
  readonly onNotice?: (notice: string) => void;
}

/**
 * Starts a worker and waits until it is ready. Rejects with what kept it from that.
 *
 * A worker that ends without being told to takes everything pending with it: nobody knows whether the last batch was committed.
 */
export function startWorker<R>(options: WorkerOptions): Promise<WorkerClient<R>> {
  const { url, name, data } = options;
  let isReady = false;
  let isClosing = false;
  const worker = new Worker(url, { name, workerData: data, resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_MIB } });
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let goneBecause: Error | null = null;
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', () => resolve());
  });

  const fail = (error: Error): void => {
    goneBecause ??= error;
    for (const { reject } of pending.values()) reject(goneBecause);
    pending.clear();
  };

  const client: WorkerClient<R> = {
    request: (request) =>
      new Promise((resolve, reject) => {
        if (goneBecause !== null) return reject(goneBecause);
        const id = nextId++;
        pending.set(id, { resolve, reject });
        worker.postMessage({ id, request } satisfies ToWorker<R>);
      }),
    close: async () => {
      isClosing = true;
      if (goneBecause === null) {
        worker.postMessage({ close: true } satisfies ToWorker<R>);
      }
      await exited;
    },
  };

  return new Promise((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if ('ready' in message) {
        isReady = true;
        if (message.notice !== undefined) options.onNotice?.(message.notice);
        return resolve(client);
      }
      if (message.id === null) return 'error' in message ? reject(decodeError(message.error)) : undefined;
      const waiting = pending.get(message.id);
      pending.delete(message.id);
      if ('error' in message) waiting?.reject(decodeError(message.error));
      else waiting?.resolve(message.value);
    });
    worker.once('error', (error) => fail(storeUnavailable(`the ${name} thread failed: ${String(error)}`, error)));
    worker.once('exit', (code) => {
      fail(storeUnavailable(`the ${name} thread has ended (exit code ${code})`));
      const error = goneBecause ?? storeUnavailable(`the ${name} thread did not start`);
      if (isReady && !isClosing) options.onLost?.(error);
      // After `ready` this does nothing.
      reject(error);
    });
  });
}
