import { describe, expect, test } from 'vitest';
import { readForm } from './multipart-form.ts';

const TYPE = 'multipart/form-data; boundary=XyZ';
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const field = (name: string, value: string): string => `--XyZ\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (content = 'RIFFsound', name = 'file'): string =>
  `--XyZ\r\nContent-Disposition: form-data; name="${name}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n${content}\r\n`;
const form = (...parts: readonly string[]): string => `${parts.join('')}--XyZ--\r\n`;

const read = (text: string, type = TYPE) => readForm(bytesOf(text), type);
const messageOf = (text: string, type = TYPE): string => {
  const result = read(text, type);
  if (result.ok) throw new Error('the form was taken');
  return result.defect.message;
};

describe('a form that keeps the rules', () => {
  test('gives its fields, lists where a name comes more than once, and the length of its file', () => {
    const result = read(
      form(field('model', 'whisper'), field('include[]', 'a'), file(), field('include[]', 'b'), field('prompt', 'Grüße')),
    );
    if (!result.ok) throw new Error(result.defect.message);
    expect(result.fields).toEqual({ model: 'whisper', 'include[]': ['a', 'b'], prompt: 'Grüße' });
    expect(result.form.fileBytes).toBe('RIFFsound'.length);
  });

  test('tells where each value and each part lies', () => {
    const text = form(field('model', 'whisper'), file());
    const result = read(text);
    if (!result.ok) throw new Error(result.defect.message);
    const [model, sound] = result.form.parts;
    expect(text.slice(model?.valueStart, model?.valueEnd)).toBe('whisper');
    expect(text.slice(model?.start, model?.end)).toBe(field('model', 'whisper'));
    expect(text.slice(sound?.valueStart, sound?.valueEnd)).toBe('RIFFsound');
  });

  test('may hold any bytes in its file, and an empty field', () => {
    const result = read(form(field('model', 'm'), field('language', ''), file('a\r\n--Xy\r\n\r\n--\r\n-\n')));
    expect(result.ok && result.form.fileBytes).toBe('a\r\n--Xy\r\n\r\n--\r\n-\n'.length);
  });

  test.each([
    ['a quoted boundary', 'multipart/form-data; boundary="XyZ"'],
    ['other parameters beside it', 'multipart/form-data; charset=utf-8; boundary=XyZ'],
    ['a type in capitals', 'Multipart/Form-Data; BOUNDARY=XyZ'],
  ])('%s', (_name, type) => {
    expect(read(form(field('model', 'm'), file()), type).ok).toBe(true);
  });

  test('may end without a last line end, and name the transfer encoding that it has', () => {
    const encoded = file().replace('Content-Type', 'Content-Transfer-Encoding: binary\r\nContent-Type');
    expect(read(form(field('model', 'm'), encoded).slice(0, -2)).ok).toBe(true);
  });

  test('a body made to be slow is read in no time worth a name', () => {
    const boundary = `${'-'.repeat(60)}x`;
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`;
    const body = bytesOf(`${head}${'-'.repeat(4_000_000)}\r\n--${boundary}--`);
    const result = readForm(body, `multipart/form-data; boundary=${boundary}`);
    expect(result.ok && result.form.fileBytes).toBe(4_000_000);
  });
});

describe('a form that breaks a rule is refused', () => {
  const good = [field('model', 'm'), file()];
  test.each([
    ['no boundary', form(...good), 'multipart/form-data', 'must name a boundary'],
    ['two boundaries', form(...good), `${TYPE}; boundary=a`, 'must name one boundary'],
    ['a boundary of other characters', form(...good), 'multipart/form-data; boundary="a b"', 'characters of RFC 2046'],
    ['a boundary that is too long', form(...good), `multipart/form-data; boundary=${'a'.repeat(71)}`, '1 to 70'],
    ['parameters that cannot be read', form(...good), 'multipart/form-data; boundary', 'cannot be read'],
    ['a preamble', `hello\r\n${form(...good)}`, TYPE, 'must begin with its boundary'],
    ['an epilogue', `${form(...good)}more`, TYPE, 'Nothing may follow'],
    ['no end', good.join(''), TYPE, 'must end with its boundary'],
    ['a delimiter in the middle of a line', form(field('model', 'm'), file('a--XyZb')), TYPE, 'beginning of a line'],
    ['a delimiter after a bare line feed', form(field('model', 'm'), file('a\n--XyZ\r\nb')), TYPE, 'beginning of a line'],
    ['a delimiter that goes on', form(field('model', 'm'), file('a\r\n--XyZ!\r\nb')), TYPE, 'must end its line'],
    ['bare line feeds', form(...good).replaceAll('\r\n', '\n'), TYPE, 'must end its line'],
    ['a head without an end', '--XyZ\r\nContent-Disposition: form-data; name="model"\r\n--XyZ--', TYPE, 'head that cannot be read'],
    [
      'a folded head',
      form(field('model', 'm').replace('form-data;', 'form-data;\r\n'), file()),
      TYPE,
      'Content-Disposition of the form cannot be read',
    ],
    ['a head that begins with a space', form(field('model', 'm').replace('Content', ' Content'), file()), TYPE, 'head that cannot be read'],
    ['no disposition', '--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--', TYPE, 'Content-Disposition with a name'],
    [
      'two dispositions',
      form(field('model', 'm').replace('\r\n\r\n', '\r\nContent-Disposition: form-data; name="x"\r\n\r\n')),
      TYPE,
      'one Content-Disposition',
    ],
    ['two names', form(field('model"; name="prompt', 'm'), file()), TYPE, 'cannot be read'],
    ['an encoded name', form(field('model"; name*="x', 'm'), file()), TYPE, 'cannot be read'],
    ['a name of other characters', form(field('mod el', 'm'), file()), TYPE, 'name of a field'],
    [
      'base64',
      form(field('model', 'm').replace('\r\n\r\n', '\r\nContent-Transfer-Encoding: base64\r\n\r\n'), file()),
      TYPE,
      'transfer encoding',
    ],
    ['two models', form(field('model', 'm'), field('model', 'n'), file()), TYPE, 'model must come once'],
    ['two files', form(field('model', 'm'), file(), file()), TYPE, 'file must come once'],
    ['no file', form(field('model', 'm')), TYPE, 'file is required'],
    ['an empty file', form(field('model', 'm'), file('')), TYPE, 'file must not be empty'],
    ['a file that is a field', form(field('model', 'm'), field('file', 'x')), TYPE, 'file must be sent as a file'],
    ['a field that is a file', form(file('m', 'model'), file()), TYPE, 'model must be a field'],
    ['a field that is too long', form(field('prompt', 'x'.repeat(65_537)), file()), TYPE, 'at most 65536 bytes'],
    ['too many parts', form(...Array.from({ length: 65 }, (_, index) => field(`f${index}`, 'x'))), TYPE, 'at most 64 parts'],
  ])('%s', (_name, text, type, message) => {
    expect(messageOf(text, type)).toContain(message);
  });

  test('a field that is no UTF-8, by its name', () => {
    const text = form(field('prompt', 'ab'), file());
    const bytes = bytesOf(text);
    bytes[text.indexOf('ab')] = 0xff;
    const result = readForm(bytes, TYPE);
    expect(result).toMatchObject({ ok: false, defect: { param: 'prompt', message: 'prompt is not valid UTF-8.' } });
  });

  test('wherever a form is cut off', () => {
    const bytes = bytesOf(form(...good));
    for (let length = 0; length < bytes.length - 2; length++) expect(readForm(bytes.subarray(0, length), TYPE).ok).toBe(false);
  });
});
