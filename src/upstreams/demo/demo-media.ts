import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import type { InferenceRequest } from '../../core/bounds/inference-request.ts';
import { errorAnswer, json, type DemoAnswer, type DemoSettings } from './demo-form.ts';
import { DEMO_MEDIA_TOKENS } from './demo-model.ts';

/** 8-bit mono; a character is a tone of 20 ms. */
const SAMPLE_RATE = 8000;
const SAMPLES_PER_CHARACTER = 160;
const MAX_CHARACTERS = 4096;
/** Sound leaves in pieces of this size. */
const SOUND_PIECE_BYTES = 4096;
const CHARACTERS_PER_SOUND_TOKEN = 4;

const IMAGE_TOKENS = 16;
/** What is taken for a second of sound where its form is not known. */
const BYTES_PER_SECOND = 16_000;

/** Speaks: a WAV file (or bare samples) with a tone for each character of the input. The same input, the same sound. */
export function speechAnswer({ body }: InferenceRequest, settings: DemoSettings): DemoAnswer {
  const input = Array.from(body['input'] as string);
  if (input.length === 0 || input.length > MAX_CHARACTERS) {
    return errorAnswer(400, `input must have 1 to ${MAX_CHARACTERS} characters.`, 'input', 'invalid_value');
  }
  const format = body['response_format'] ?? 'wav';
  if (format !== 'wav' && format !== 'pcm') {
    return errorAnswer(400, 'The demo model speaks in the formats wav and pcm only.', 'response_format', 'invalid_value');
  }
  const samples = Buffer.concat(input.map(tone));
  const sound = format === 'wav' ? Buffer.concat([wavHead(samples.length), samples]) : samples;
  const pieces = Array.from({ length: Math.ceil(sound.length / SOUND_PIECE_BYTES) }, (_, index) =>
    sound.subarray(index * SOUND_PIECE_BYTES, (index + 1) * SOUND_PIECE_BYTES),
  );
  if (body['stream_format'] !== 'sse') {
    return { status: 200, contentType: format === 'wav' ? 'audio/wav' : 'audio/pcm', pieces: [], bytes: pieces, usage: null };
  }
  const usage = {
    promptTokens: settings.countTokens(input.join('')),
    completionTokens: Math.ceil(input.length / CHARACTERS_PER_SOUND_TOKEN),
  };
  const events = pieces.map((piece) => event({ type: 'speech.audio.delta', audio: piece.toString('base64') }));
  const done = { type: 'speech.audio.done', ...(settings.reportUsage ? { usage: usageObject(usage, {}) } : {}) };
  return { status: 200, contentType: 'text/event-stream', pieces: [...events, event(done)], usage };
}

function tone(character: string): Buffer {
  const halfWave = 4 + ((character.codePointAt(0) ?? 0) % 24);
  return Buffer.from(Array.from({ length: SAMPLES_PER_CHARACTER }, (_, index) => (Math.floor(index / halfWave) % 2 === 0 ? 96 : 160)));
}

function wavHead(bytes: number): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(SAMPLE_RATE, 24);
  head.writeUInt32LE(SAMPLE_RATE, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(bytes, 40);
  return head;
}

/** Writes down what it heard: how much sound it was given, and which. */
export function transcriptionAnswer({ body, form }: InferenceRequest, settings: DemoSettings): DemoAnswer {
  const file = form?.parts.find(({ isFile }) => isFile);
  const sound = Buffer.from(form?.bytes.subarray(file?.valueStart ?? 0, file?.valueEnd ?? 0) ?? []);
  const seconds = secondsOf(sound);
  const mark = createHash('sha256').update(sound).digest('hex').slice(0, 8);
  const text = settings.text ?? `You sent ${sound.length} bytes of sound, ${seconds.toFixed(2)} seconds, with the mark ${mark}.`;
  const prompt = typeof body['prompt'] === 'string' ? settings.countTokens(body['prompt']) : 0;
  const usage = { promptTokens: prompt + DEMO_MEDIA_TOKENS, completionTokens: settings.countTokens(text) };
  const details = { input_token_details: { text_tokens: prompt, audio_tokens: DEMO_MEDIA_TOKENS } };
  const reported = settings.reportUsage ? { usage: { type: 'tokens', ...usageObject(usage, details) } } : {};
  if (body['stream'] === 'true') {
    const words = text.match(/\s*\S+/gu) ?? [];
    const deltas = words.map((delta) => event({ type: 'transcript.text.delta', delta }));
    const done = event({ type: 'transcript.text.done', text, ...reported });
    return { status: 200, contentType: 'text/event-stream', pieces: [...deltas, done], usage };
  }
  const plain = (content: string, contentType = 'text/plain; charset=utf-8'): DemoAnswer => ({
    status: 200,
    contentType,
    pieces: [content],
    usage: null,
  });
  const end = (comma: string): string =>
    `00:00:00${comma}000 --> ${new Date(seconds * 1000).toISOString().slice(11, 23).replace('.', comma)}`;
  switch (body['response_format'] ?? 'json') {
    case 'json':
      return json(200, { text, ...reported }, usage);
    case 'text':
      return plain(`${text}\n`);
    case 'srt':
      return plain(`1\n${end(',')}\n${text}\n\n`);
    case 'vtt':
      return plain(`WEBVTT\n\n${end('.')}\n${text}\n`, 'text/vtt; charset=utf-8');
    case 'verbose_json': {
      const segments = [{ id: 0, start: 0, end: seconds, text }];
      const counted = settings.reportUsage ? { usage: { type: 'duration', seconds: Math.ceil(seconds) } } : {};
      return json(200, { task: 'transcribe', language: 'english', duration: seconds, text, segments, ...counted }, null);
    }
    default:
      return errorAnswer(400, 'response_format must be json, text, srt, vtt or verbose_json.', 'response_format', 'invalid_value');
  }
}

/** The length of a WAV file by its head; of anything else by its size. */
function secondsOf(sound: Buffer): number {
  const isWav = sound.length > 44 && sound.toString('latin1', 0, 4) === 'RIFF';
  const bytesPerSecond = isWav ? sound.readUInt32LE(28) : BYTES_PER_SECOND;
  return (isWav ? sound.length - 44 : sound.length) / Math.max(1, bytesPerSecond);
}

/** Paints: images of one pixel, whose colour comes from the prompt. */
export function imagesAnswer({ body, stream, choices }: InferenceRequest, settings: DemoSettings): DemoAnswer {
  const prompt = body['prompt'] as string;
  const textTokens = settings.countTokens(prompt);
  const usage = { promptTokens: textTokens, completionTokens: IMAGE_TOKENS * choices };
  const details = { input_tokens_details: { text_tokens: textTokens, image_tokens: 0 } };
  const reported = settings.reportUsage ? { usage: usageObject(usage, details) } : {};
  const images = Array.from({ length: choices }, (_, index) => pngOf(`${index} ${prompt}`).toString('base64'));
  const about = { background: 'opaque', output_format: 'png', quality: 'low', size: '1x1' };
  if (stream) {
    if (choices > 1) return errorAnswer(400, 'The demo model streams one image at a time.', 'n', 'invalid_value');
    const completed = { type: 'image_generation.completed', b64_json: images[0], created_at: settings.createdAt, ...about, ...reported };
    return { status: 200, contentType: 'text/event-stream', pieces: [event(completed)], usage };
  }
  const asUrl = body['response_format'] === 'url';
  const data = images.map((image) => (asUrl ? { url: `data:image/png;base64,${image}` } : { b64_json: image }));
  return json(200, { created: settings.createdAt, ...about, data, ...reported }, usage);
}

function pngOf(text: string): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(1, 0);
  head.writeUInt32BE(1, 4);
  // Eight bits for each of red, green and blue.
  head.set([8, 2], 8);
  const pixel = Buffer.concat([Buffer.from([0]), createHash('sha256').update(text).digest().subarray(0, 3)]);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(pixel)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const event = (fields: Readonly<Record<string, unknown>>): string =>
  `event: ${String(fields['type'])}\ndata: ${JSON.stringify(fields)}\n\n`;

const usageObject = (
  usage: NonNullable<DemoAnswer['usage']>,
  details: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> => ({
  input_tokens: usage.promptTokens,
  ...details,
  output_tokens: usage.completionTokens,
  total_tokens: usage.promptTokens + usage.completionTokens,
});
