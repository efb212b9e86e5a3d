/** The server refused a request, or failed at it. `message` is the server's own; `code` is its word for the kind of refusal, `api` what stands before the paths of the API that was asked. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  readonly api: string;

  constructor(options: { status: number; code: string; message: string; requestId: string | null; api: string }) {
    super(options.message);
    this.status = options.status;
    this.code = options.code;
    this.requestId = options.requestId;
    this.api = options.api;
  }
}

/** Nobody answered at the server's address, or what answered is no Castellan. `reason` is the system's word, such as `ECONNREFUSED`. */
export class ServerUnreachable extends Error {
  override readonly name = 'ServerUnreachable';
  readonly baseUrl: string;
  readonly reason: string;

  constructor(options: { baseUrl: string; reason: string; cause?: unknown }) {
    super(`no Castellan answers at ${options.baseUrl} (${options.reason})`, { cause: options.cause });
    this.baseUrl = options.baseUrl;
    this.reason = options.reason;
  }
}
