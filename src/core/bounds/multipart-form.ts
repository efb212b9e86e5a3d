import { defectOf, type FormPart, type RequestDefect, type RequestForm } from './inference-request.ts';

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
const COLON = 0x3a;

/** Longest head of a part, and longest value of a field that is no file. */
const MAX_HEAD_BYTES = 4096;
const MAX_FIELD_BYTES = 65_536;
const MAX_PARTS = 64;

/** Fields that must come once: the upstream and we must not read two different ones. */
const SINGLE_FIELDS: ReadonlySet<string> = new Set(['model', 'file', 'stream', 'response_format', 'prompt']);

/** As RFC 2046 has it, without the spaces that hardly anybody sends. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=?-]{1,70}$/;
const FIELD_NAME = /^[A-Za-z0-9_.-]{1,64}(?:\[\])?$/;
const HEADER_NAME = /^[A-Za-z0-9-]{1,64}$/;
const PARAMETER = /^;[ \t]*([a-z*]+)[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\["\\])*)"|([^\s";]+))[ \t]*/i;

const ascii = new TextDecoder('latin1');
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** A form that keeps the rules, with the texts of its fields by name (a list where one comes more than once), or the first defect. */
export type FormResult =
  | { readonly ok: true; readonly form: RequestForm; readonly fields: Readonly<Record<string, string | readonly string[]>> }
  | { readonly ok: false; readonly defect: RequestDefect };

/** Why a form is refused. Thrown inside this file only. */
class BadForm extends Error {
  readonly param: string | null;

  constructor(message: string, param: string | null = null) {
    super(message);
    this.param = param;
  }
}

/**
 * Reads a `multipart/form-data` body that must bring one file in the field `file`. The bytes are neither copied nor changed.
 *
 * Strict, so that no upstream can read another form than we do: no preamble and no epilogue; lines end with CRLF; every occurrence of the
 * delimiter is a delimiter; each part has one `Content-Disposition` with one `name`; the fields that we read come once. At most 64
 * parts, 64 KiB for a field, the body's own limit for the file. Never throws. Source: RFC 7578 and RFC 2046.
 */
export function readForm(bytes: Uint8Array, contentType: string): FormResult {
  try {
    const delimiter = wantedOf(`--${boundaryOf(contentType)}`);
    const parts = splitParts(bytes, delimiter);
    const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
    let fileBytes: number | null = null;
    for (const part of parts) {
      if (part.isFile !== (part.name === 'file')) {
        throw new BadForm(part.isFile ? `${part.name} must be a field and no file.` : 'file must be sent as a file.', part.name);
      }
      if (part.isFile) fileBytes = part.valueEnd - part.valueStart;
      else addField(fields, part.name, fieldText(bytes, part));
    }
    if (fileBytes === null) throw new BadForm('file is required.', 'file');
    if (fileBytes === 0) throw new BadForm('file must not be empty.', 'file');
    return { ok: true, form: { bytes, parts, fileBytes }, fields: { ...fields } };
  } catch (error) {
    if (!(error instanceof BadForm)) throw error;
    return { ok: false, defect: defectOf(error.param, 'invalid_value', error.message) };
  }
}

/** The boundary that a content type names. */
function boundaryOf(contentType: string): string {
  const semicolon = contentType.indexOf(';');
  let rest = semicolon === -1 ? '' : contentType.slice(semicolon).trim();
  let boundary: string | null = null;
  while (rest !== '') {
    const match = PARAMETER.exec(rest);
    if (match === null) throw new BadForm('The Content-Type cannot be read.');
    rest = rest.slice(match[0].length);
    if (match[1]?.toLowerCase() !== 'boundary') continue;
    if (boundary !== null) throw new BadForm('The Content-Type must name one boundary.');
    boundary = match[2] ?? match[3] ?? '';
  }
  if (boundary === null) throw new BadForm('The Content-Type must name a boundary.');
  if (!BOUNDARY.test(boundary)) throw new BadForm('The boundary in the Content-Type must have 1 to 70 of the characters of RFC 2046.');
  return boundary;
}

function splitParts(bytes: Uint8Array, delimiter: Wanted): FormPart[] {
  const parts: FormPart[] = [];
  const seen = new Set<string>();
  let start = 0;
  if (indexOf(bytes, delimiter, 0) !== 0) throw new BadForm('The form must begin with its boundary.');
  for (;;) {
    const afterDelimiter = start + delimiter.bytes.length;
    if (isCrLf(bytes, afterDelimiter)) {
      const headStart = afterDelimiter + 2;
      const next = indexOf(bytes, delimiter, headStart);
      if (next === -1) throw new BadForm('The form must end with its boundary.');
      if (!isCrLf(bytes, next - 2)) throw new BadForm('The boundary must stand at the beginning of a line.');
      const part = readPart(bytes, { start, headStart, end: next });
      if (seen.has(part.name) && SINGLE_FIELDS.has(part.name)) throw new BadForm(`${part.name} must come once.`, part.name);
      seen.add(part.name);
      parts.push(part);
      if (parts.length > MAX_PARTS) throw new BadForm(`The form must have at most ${MAX_PARTS} parts.`);
      start = next;
      continue;
    }
    if (bytes[afterDelimiter] !== DASH || bytes[afterDelimiter + 1] !== DASH) throw new BadForm('The boundary must end its line.');
    const end = afterDelimiter + 2;
    const isOver = end === bytes.length || (end + 2 === bytes.length && isCrLf(bytes, end));
    if (!isOver) throw new BadForm('Nothing may follow the end of the form.');
    return parts;
  }
}

function readPart(bytes: Uint8Array, at: { readonly start: number; readonly headStart: number; readonly end: number }): FormPart {
  let name: string | null = null;
  let isFile = false;
  let lineStart = at.headStart;
  for (;;) {
    const lineEnd = bytes.indexOf(LF, lineStart) - 1;
    if (lineEnd < lineStart || lineEnd >= at.end - 2 || lineEnd - at.headStart > MAX_HEAD_BYTES || bytes[lineEnd] !== CR)
      throw new BadForm('A part of the form has a head that cannot be read.');
    if (lineEnd === lineStart) break;
    const colon = bytes.indexOf(COLON, lineStart);
    const header = ascii.decode(bytes.subarray(lineStart, colon)).toLowerCase();
    if (colon === -1 || colon > lineEnd || !HEADER_NAME.test(header))
      throw new BadForm('A part of the form has a head that cannot be read.');
    const value = ascii.decode(bytes.subarray(colon + 1, lineEnd)).trim();
    if (header === 'content-disposition') {
      if (name !== null) throw new BadForm('A part of the form must have one Content-Disposition.');
      ({ name, isFile } = readDisposition(value));
    } else if (header === 'content-transfer-encoding' && !/^(?:7bit|8bit|binary)$/i.test(value)) {
      throw new BadForm('A part of the form must be sent without a transfer encoding.');
    }
    lineStart = lineEnd + 2;
  }
  if (name === null) throw new BadForm('A part of the form must have a Content-Disposition with a name.');
  return { name, isFile, valueStart: lineStart + 2, valueEnd: at.end - 2, start: at.start, end: at.end };
}

function readDisposition(value: string): { readonly name: string; readonly isFile: boolean } {
  const type = /^form-data[ \t]*(?=;|$)/i.exec(value);
  let rest = type === null ? '?' : value.slice(type[0].length);
  const parameters = new Map<string, string>();
  while (rest !== '') {
    const match = PARAMETER.exec(rest);
    const key = match?.[1]?.toLowerCase() ?? '';
    if (match === null || parameters.has(key) || key === 'name*') throw new BadForm('A Content-Disposition of the form cannot be read.');
    parameters.set(key, match[2] ?? match[3] ?? '');
    rest = rest.slice(match[0].length);
  }
  const name = parameters.get('name') ?? '';
  if (!FIELD_NAME.test(name))
    throw new BadForm('The name of a field of the form must have 1 to 64 letters, digits, dots, dashes and underscores.');
  return { name, isFile: parameters.has('filename') || parameters.has('filename*') };
}

function fieldText(bytes: Uint8Array, { name, valueStart, valueEnd }: FormPart): string {
  if (valueEnd - valueStart > MAX_FIELD_BYTES) throw new BadForm(`${name} must have at most ${MAX_FIELD_BYTES} bytes.`, name);
  try {
    return strictUtf8.decode(bytes.subarray(valueStart, valueEnd));
  } catch {
    throw new BadForm(`${name} is not valid UTF-8.`, name);
  }
}

function addField(fields: Record<string, string | string[]>, name: string, text: string): void {
  const before = fields[name];
  fields[name] = before === undefined ? text : [...(typeof before === 'string' ? [before] : before), text];
}

const isCrLf = (bytes: Uint8Array, at: number): boolean => bytes[at] === CR && bytes[at + 1] === LF;

/** A text to look for, with how far a search goes back where it stops fitting (Knuth, Morris and Pratt): no body makes it slow. */
interface Wanted {
  readonly bytes: Uint8Array;
  readonly fallBack: Uint8Array;
}

function wantedOf(text: string): Wanted {
  const bytes = new TextEncoder().encode(text);
  const fallBack = new Uint8Array(bytes.length);
  for (let index = 1, fits = 0; index < bytes.length; index++) {
    while (fits > 0 && bytes[index] !== bytes[fits]) fits = fallBack[fits - 1] as number;
    if (bytes[index] === bytes[fits]) fits += 1;
    fallBack[index] = fits;
  }
  return { bytes, fallBack };
}

/** Where `wanted` begins at `from` or behind it, or -1. */
function indexOf(haystack: Uint8Array, { bytes, fallBack }: Wanted, from: number): number {
  const first = bytes[0] as number;
  let fits = 0;
  for (let at = from; at < haystack.length; at++) {
    if (fits === 0) {
      at = haystack.indexOf(first, at);
      if (at === -1) return -1;
    }
    while (fits > 0 && haystack[at] !== bytes[fits]) fits = fallBack[fits - 1] as number;
    if (haystack[at] === bytes[fits]) fits += 1;
    if (fits === bytes.length) return at - fits + 1;
  }
  return -1;
}
