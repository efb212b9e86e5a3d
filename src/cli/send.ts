import type { Send } from '../client/request.ts';

/**
 * Sends requests as `fetch` does, but to whatever port a server listens on (browsers keep from some), and without an end to its patience:
 * a verification of a large ledger takes its time.
 */
export function makeSend(): Send {
  return async (url, { method, headers, body }) => {
    const { Agent, request } = await import('undici');
    // A command sends few requests, one after another; nothing keeps it from ending behind the last.
    const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 10_000 } });
    try {
      const answer = await request(url, { method, headers, body: body ?? null, dispatcher });
      const text = await answer.body.text();
      return { status: answer.statusCode, text: () => Promise.resolve(text) };
    } finally {
      await dispatcher.close();
    }
  };
}
