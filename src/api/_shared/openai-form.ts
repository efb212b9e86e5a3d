import { TRANSPORT_STATUS, type ErrorForm } from './problem.ts';

/** OpenAI's form of problems; `statuses` are those of codes beyond the transport's own. Any other code is 400. */
export const makeOpenAiForm = (statuses: Readonly<Record<string, number>> = {}): ErrorForm => {
  const statusOf: Readonly<Record<string, number>> = { ...TRANSPORT_STATUS, ...statuses };
  return ({ code, message, field }) => {
    const status = statusOf[code] ?? 400;
    const type = status >= 500 ? 'server_error' : 'invalid_request_error';
    return { status, body: { error: { message, type, param: field ?? null, code: code === 'route_not_found' ? 'unknown_url' : code } } };
  };
};

/** Problems in OpenAI's form, for addresses that no surface owns and that come with a bearer credential. */
export const openAiForm: ErrorForm = makeOpenAiForm();
