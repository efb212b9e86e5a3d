import { TRANSPORT_STATUS, type ErrorForm } from './problem.ts';

/** Problems in OpenAI's form, for addresses that no surface owns and that come with a bearer credential. */
export const openAiForm: ErrorForm = ({ code, message, field }) => {
  const status = (TRANSPORT_STATUS as Readonly<Record<string, number>>)[code] ?? 400;
  const type = status >= 500 ? 'server_error' : 'invalid_request_error';
  return { status, body: { error: { message, type, param: field ?? null, code: code === 'route_not_found' ? 'unknown_url' : code } } };
};
