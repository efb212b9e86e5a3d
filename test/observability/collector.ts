import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A span as it came over the wire. Ids are hexadecimal; `kind` 1 is internal, 2 a server's, 3 a client's; `status` 2 is an error. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly status: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

/** A collector of traces on a free port of 127.0.0.1, for OTLP over HTTP with protobuf. */
export interface Collector {
  readonly origin: string;
  readonly spans: ReceivedSpan[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
  /** The status that it answers from now on. */
  status: number;
  close(): Promise<void>;
}

/** Starts a {@link Collector}. */
export async function startCollector(): Promise<Collector> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const raw = Buffer.concat(pieces);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      collector.requests.push({ path: request.url ?? '', headers: request.headers, body });
      if (collector.status === 200) collector.spans.push(...readExport(body));
      response.writeHead(collector.status, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const collector: Collector = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    requests: [],
    status: 200,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return collector;
}

/** The fields of a protobuf message: numbers and fixed ones as bigint, the rest as bytes. */
type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

function readMessage(bytes: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('the message is cut off');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const slice = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('the message is cut off');
    return bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const value = wire === 0 ? varint() : wire === 1 ? slice(8) : wire === 5 ? slice(4) : slice(Number(varint()));
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const bytesOf = (fields: Fields, number: number): Buffer[] => (fields.get(number) ?? []).filter((value) => typeof value !== 'bigint');
const textOf = (fields: Fields, number: number): string => bytesOf(fields, number)[0]?.toString('utf8') ?? '';
const hexOf = (fields: Fields, number: number): string => bytesOf(fields, number)[0]?.toString('hex') ?? '';
const numberOf = (fields: Fields, number: number): number => Number(fields.get(number)?.[0] ?? 0n);

function readAttributes(fields: Fields, number: number): Record<string, string | number | boolean> {
  return Object.fromEntries(
    bytesOf(fields, number).map((bytes): [string, string | number | boolean] => {
      const pair = readMessage(bytes);
      const value = readMessage(bytesOf(pair, 2)[0] ?? Buffer.alloc(0));
      if (value.has(1)) return [textOf(pair, 1), textOf(value, 1)];
      if (value.has(2)) return [textOf(pair, 1), numberOf(value, 2) === 1];
      if (value.has(4)) return [textOf(pair, 1), bytesOf(value, 4)[0]?.readDoubleLE() ?? NaN];
      return [textOf(pair, 1), numberOf(value, 3)];
    }),
  );
}

/** Source: opentelemetry-proto, `ExportTraceServiceRequest`. */
function readExport(body: Buffer): ReceivedSpan[] {
  return bytesOf(readMessage(body), 1).flatMap((resourceSpans) => {
    const fields = readMessage(resourceSpans);
    const resource = readAttributes(readMessage(bytesOf(fields, 1)[0] ?? Buffer.alloc(0)), 1);
    const scopes = bytesOf(fields, 2).map(readMessage);
    return scopes.flatMap((scope) => bytesOf(scope, 2).map((span) => readSpan(readMessage(span), resource)));
  });
}

const readSpan = (span: Fields, resource: ReceivedSpan['resource']): ReceivedSpan => ({
  traceId: hexOf(span, 1),
  spanId: hexOf(span, 2),
  traceState: textOf(span, 3),
  parentSpanId: hexOf(span, 4),
  name: textOf(span, 5),
  kind: numberOf(span, 6),
  attributes: readAttributes(span, 9),
  status: numberOf(readMessage(bytesOf(span, 15)[0] ?? Buffer.alloc(0)), 3),
  resource,
});
