import { readInferenceRequest, type InferenceKind, type InferenceRequestResult } from './inference-request.ts';
import { readMessagesRequest } from './messages-request.ts';

/** Reads a parsed body by the rules of its API: {@link readInferenceRequest} or {@link readMessagesRequest}. Never throws. */
export const readRequest = (kind: InferenceKind, body: unknown): InferenceRequestResult =>
  kind === 'messages' || kind === 'count_tokens' ? readMessagesRequest(kind, body) : readInferenceRequest(kind, body);
