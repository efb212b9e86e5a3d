import { TRANSPORT_STATUS, type ErrorForm } from './problem.ts';

/** The types that Anthropic's clients know, where the status does not say it in general. Source: Anthropic API reference, Errors. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** The type of an error with this status. */
export const anthropicErrorType = (status: number): string => TYPES[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error');

/** Problems in Anthropic's form, for addresses below `/v1/messages` that no route answers. */
export const anthropicForm: ErrorForm = ({ code, message }, requestId) => {
  const status = (TRANSPORT_STATUS as Readonly<Record<string, number>>)[code] ?? 400;
  return { status, body: { type: 'error', error: { type: anthropicErrorType(status), message, code }, request_id: requestId } };
};
