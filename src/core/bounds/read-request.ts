import { readInferenceRequest, type InferenceKind, type InferenceRequestResult } from './inference-request.ts';
import { readImagesRequest, readSpeechRequest, readTranscriptionRequest } from './media-request.ts';
import { readMessagesRequest } from './messages-request.ts';
import { readResponsesRequest } from './responses-request.ts';

/**
 * Reads the parsed body of a request of any kind, or returns its first defect. Never throws. Each kind has its own order of checks: see
 * the reader of the kind. A transcription is read from the fields of its form.
 */
export function readRequest(kind: InferenceKind, body: unknown): InferenceRequestResult {
  switch (kind) {
    case 'messages':
    case 'count_tokens':
      return readMessagesRequest(kind, body);
    case 'responses':
      return readResponsesRequest(body);
    case 'speech':
      return readSpeechRequest(body);
    case 'images':
      return readImagesRequest(body);
    case 'transcriptions':
      return readTranscriptionRequest(body);
    case 'chat':
    case 'completions':
    case 'embeddings':
      return readInferenceRequest(kind, body);
  }
}
