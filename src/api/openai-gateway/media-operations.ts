import Type from 'typebox';
import { MAX_FRAMES, MAX_IMAGES } from '../../core/bounds/media-request.ts';
import { CALL_ERRORS, CALL_HEADERS, ModelName } from '../_shared/openapi/call-parts.ts';
import { routerFields, routerFormFields } from '../_shared/openapi/router-fields.ts';
import { named, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';
import { ANSWER_HEADERS, answerOf, Count, EVENTS, open, optional, passedOn, streamFields } from './call-schemas.ts';

/** Body of `POST /v1/audio/speech`, as far as this server judges it. */
export const SpeechBody = named(
  'SpeechRequest',
  Type.Object(
    {
      model: ModelName,
      input: Type.String({ description: 'What to say. A model may have a price for each character of it.' }),
      instructions: optional(Type.String()),
      stream_format: optional(Type.String(), { description: '`sse` answers with events.' }),
      ...routerFields,
    },
    passedOn,
  ),
);

/** Body of `POST /v1/images/generations`, as far as this server judges it. */
export const ImagesBody = named(
  'ImagesRequest',
  Type.Object(
    {
      model: ModelName,
      prompt: Type.String(),
      ...streamFields,
      n: Count(MAX_IMAGES, 'How many images to make. A model may have a price for each of them.'),
      frame_count: Count(MAX_FRAMES, 'How many frames each of them has.'),
      ...routerFields,
    },
    passedOn,
  ),
);

/** The fields of the form of `POST /v1/audio/transcriptions`, as far as this server judges it. */
export const TranscriptionForm = named(
  'TranscriptionRequest',
  Type.Object(
    {
      model: ModelName,
      file: Type.String({ format: 'binary', description: 'The audio, as a file. A model may have a price for each second of it.' }),
      stream: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')], { description: 'Answer as server-sent events.' })),
      response_format: Type.Optional(Type.String({ description: '`json`, `verbose_json`, `text` and so on.' })),
      prompt: Type.Optional(Type.String()),
      ...routerFormFields,
    },
    { ...open, description: 'Other fields go to the model as they came. `model`, `file` and the fields named here may come once.' },
  ),
);

const MediaUsage = Type.Object(
  { input_tokens: Type.Optional(WholeNumber), output_tokens: Type.Optional(WholeNumber), total_tokens: Type.Optional(WholeNumber) },
  { ...open, description: 'In tokens, or of a transcription in seconds; some models tell nothing.' },
);

const TranscriptionAnswer = named(
  'TranscriptionAnswer',
  Type.Object({ text: Type.String(), duration: Type.Optional(Type.Number()), usage: Type.Optional(MediaUsage) }, open),
);

const ImagesAnswer = named(
  'ImagesAnswer',
  Type.Object(
    {
      created: WholeNumber,
      data: Type.Array(
        Type.Object(
          { b64_json: Type.Optional(Type.String()), url: Type.Optional(Type.String()), revised_prompt: Type.Optional(Type.String()) },
          open,
        ),
      ),
      usage: Type.Optional(MediaUsage),
    },
    open,
  ),
);

const METERED =
  'Metered as one request with the tokens and the units that the model reports; what it can cost at most is held before it is sent.';

/** What the document tells about audio and images. */
export const MEDIA_OPERATIONS: Operations = {
  'POST /v1/audio/speech': {
    id: 'createSpeech',
    summary: 'Let a model speak a text',
    description: `${METERED} The sound passes on while it is made.`,
    headers: CALL_HEADERS,
    body: { schema: SpeechBody },
    answers: {
      200: [
        {
          description: 'The sound, in the form that the model was asked for.',
          schema: Type.String({ format: 'binary' }),
          mediaType: 'audio/*',
          headers: ANSWER_HEADERS,
        },
        { ...EVENTS, description: 'With `stream_format` `sse`, its events.' },
      ],
    },
    errors: CALL_ERRORS,
  },
  'POST /v1/audio/transcriptions': {
    id: 'createTranscription',
    summary: 'Let a model write down speech',
    description: METERED,
    headers: CALL_HEADERS,
    body: { schema: TranscriptionForm, mediaType: 'multipart/form-data' },
    answers: {
      200: [answerOf(TranscriptionAnswer), { description: 'Other forms as text.', schema: Type.String(), mediaType: 'text/plain' }, EVENTS],
    },
    errors: CALL_ERRORS,
  },
  'POST /v1/images/generations': {
    id: 'createImage',
    summary: 'Let a model make images',
    description: METERED,
    headers: CALL_HEADERS,
    body: { schema: ImagesBody },
    answers: { 200: [answerOf(ImagesAnswer), EVENTS] },
    errors: CALL_ERRORS,
  },
};
