/** A model server that costs as little as one can: fixed answers, plain or streamed. Prints its port as JSON on the first line. */
import http from 'node:http';

const CHUNKS = 20;
const CHUNK_GAP_MS = Number(process.argv[2] ?? 5);

const answer = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1,
    model: 'bench',
    choices: [{ index: 0, message: { role: 'assistant', content: 'A bench answer of a few words.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 12, completion_tokens: 8, total_tokens: 20 },
  }),
);

const chunk = (choices: unknown[], extra: object = {}): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1, model: 'bench', choices, ...extra })}\n\n`;
const textChunk = chunk([{ index: 0, delta: { content: 'word ' }, finish_reason: null }]);
const lastChunk = chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
const usageChunk = chunk([], { usage: { prompt_tokens: 12, completion_tokens: CHUNKS, total_tokens: 12 + CHUNKS } });

/** What an answer to a sealed request has beside its body; what is sealed how is no matter here, since a relay cannot tell. */
const NONCE = { 'ehbp-response-nonce': '0'.repeat(64) };
const USAGE_HEADER = 'x-tinfoil-usage-metrics';
const usageOf = (completion: number): string => `prompt=12,completion=${completion},total=${12 + completion},model=bench`;

function stream(res: http.ServerResponse, isSealed: boolean): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', ...(isSealed ? { ...NONCE, trailer: USAGE_HEADER } : {}) });
  res.write(textChunk);
  let sent = 1;
  const timer = setInterval(() => {
    sent += 1;
    if (sent <= CHUNKS) return void res.write(textChunk);
    clearInterval(timer);
    if (isSealed) res.addTrailers({ [USAGE_HEADER]: usageOf(CHUNKS) });
    res.end(`${lastChunk}${usageChunk}data: [DONE]\n\n`);
  }, CHUNK_GAP_MS);
  res.on('close', () => clearInterval(timer));
}

const server = http.createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  const parts: Buffer[] = [];
  req.on('data', (part: Buffer) => parts.push(part));
  req.on('end', () => {
    const wantsStream = Buffer.concat(parts).includes('"stream":true');
    const isSealed = req.headers['ehbp-encapsulated-key'] !== undefined;
    if (wantsStream) return stream(res, isSealed);
    const sealed = isSealed ? { ...NONCE, [USAGE_HEADER]: usageOf(8) } : {};
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length, ...sealed });
    res.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as { port: number }).port })));
process.on('SIGTERM', () => process.exit(0));
