/** Who did something, as events tell it. `keyId` is the API key's, where one was used. Source: Cycles governance, `EventActor`. */
export interface EventActor {
  readonly type: 'admin' | 'api_key' | 'admin_on_behalf_of' | 'system' | 'scheduler';
  readonly keyId?: string;
  readonly sourceIp?: string;
}

/**
 * The request that a command came of, as its events tell it. `traceId` is 32 hexadecimal digits; `traceFlags` the two digits of a
 * `traceparent`. `source` names the part of the program, such as `cycles-runtime`. `correlationId` is shared by all that one act of a
 * caller made happen.
 */
export interface CommandOrigin {
  readonly requestId: string;
  readonly traceId?: string;
  readonly traceFlags?: string;
  readonly actor: EventActor;
  readonly source: string;
  readonly correlationId?: string;
}
