import { parentPort } from 'node:worker_threads';
import { invariant } from '../../core/invariant.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { encodeError } from './worker-errors.ts';

/** What a worker thread does once it is open: answer, and close in the end. */
export interface Service<R> {
  readonly answer: (request: R) => unknown;
  readonly close: () => void;
  /** What is worth a line in the log of whoever started the worker. */
  readonly notice?: string;
  /** Called after an answer was handed over. */
  readonly answered?: (request: R) => void;
}

/**
 * Opens a service in this worker thread and answers its requests one after another. What `open` throws reaches the one who started
 * the worker, and ends it.
 */
export async function serve<R>(open: () => Promise<Service<R>> | Service<R>): Promise<void> {
  const port = parentPort;
  invariant(port !== null, 'serve runs in a worker thread');
  const post = (message: FromWorker): void => port.postMessage(message);
  let service: Service<R>;
  try {
    service = await open();
  } catch (error) {
    post({ id: null, error: encodeError(error) });
    return;
  }
  port.on('message', (message: ToWorker<R>) => {
    if ('close' in message) {
      service.close();
      port.close();
      return;
    }
    const { id, request } = message;
    let reply: FromWorker;
    try {
      reply = { id, value: service.answer(request) };
    } catch (error) {
      reply = { id, error: encodeError(error) };
    }
    post(reply);
    service.answered?.(request);
  });
  post({ ready: true, ...(service.notice === undefined ? {} : { notice: service.notice }) });
}
