import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { makeProcessLog } from '../../src/server/logging.ts';

const folder = mkdtempSync(join(tmpdir(), 'castellan-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
/** Writes to a log at `level` and gives its lines. */
function linesOf(level: 'info' | 'silent', write: (log: ReturnType<typeof makeProcessLog>) => void): string[] {
  const path = join(folder, `${files++}.log`);
  const log = makeProcessLog({ level, destination: openSync(path, 'w') });
  write(log);
  log.flush();
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

describe('the log', () => {
  test('is a JSON object a line, with level, time and message', () => {
    const [line = ''] = linesOf('info', (log) => log.warn({ requestId: 'req_1', status: 503 }, 'request failed'));
    const entry = JSON.parse(line) as Record<string, unknown>;
    expect(entry).toMatchObject({ level: 'warn', requestId: 'req_1', status: 503, msg: 'request failed' });
    expect(Date.parse(String(entry['time']))).not.toBeNaN();
  });

  test('keeps what lies below its level to itself', () => {
    expect(linesOf('info', (log) => log.debug({}, 'quiet'))).toEqual([]);
    expect(linesOf('silent', (log) => log.error({}, 'quiet'))).toEqual([]);
  });

  test.each([
    ['an inference key', 'tk_0123456789abcdefghijABCDEFGHIJ0'],
    ['an admin key', 'admin_0123456789abcdefghijABCDEFGHIJ0123456789'],
    ['a management key', 'mk_0123456789abcdefghijABCDEFGHIJ0123456789'],
    ['a tenant key', 'cyc_live_0123456789abcdefghijABCDEFGHIJ0123456789'],
    ['a bearer token of somebody else', 'Bearer sk-proj-AAAABBBBCCCCDDDD'],
  ])('never shows %s, wherever it stands', (_what, credential) => {
    const secret = credential.replace('Bearer ', '');
    const lines = linesOf('info', (log) => {
      log.info({ path: `/api/keys/${credential}` }, `message ${credential}`);
      log.error({ err: new Error(`upstream said: ${credential} is wrong`, { cause: new Error(credential) }) }, 'failed');
    });
    expect(lines).toHaveLength(2);
    expect(lines.join('\n')).not.toContain(secret.slice(-12));
    expect(lines.join('\n')).toContain('[redacted]');
  });

  test('leaves ids alone: they are what lines are found by', () => {
    const [line = ''] = linesOf('info', (log) => log.info({ keyId: 'key_01M81YXSFKAV05VGEM90JEKR81' }, 'request'));
    expect(line).toContain('key_01M81YXSFKAV05VGEM90JEKR81');
  });
});
