import { workerData } from 'node:worker_threads';
import { openReaderConnection } from './connection.ts';
import type { ReaderData, VerifierRequest } from './messages.ts';
import { makeVerifier } from './verify.ts';
import { serve } from './worker-server.ts';

// A thread for one verification: it reads the whole journal, and queries must not wait for that.
await serve<VerifierRequest>(() => {
  const db = openReaderConnection((workerData as ReaderData).file);
  const verify = makeVerifier(db);
  return { answer: ({ witness }) => verify(witness), close: () => db.close() };
});
