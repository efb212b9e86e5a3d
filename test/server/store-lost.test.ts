import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEMO_BODY } from '../../src/server/demo-call.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

let folder: TestFolder;
beforeEach(() => {
  folder = makeTestFolder();
});
afterEach(() => folder.dispose());

/** A module whose failpoints end the writer's thread at the first batch after the file `armed` was made in the data folder. */
const deadlyModule = (): string => {
  const armed = JSON.stringify(join(folder.dataDir, 'armed'));
  const body = `if (point === 'batch.loaded' && process.getBuiltinModule('fs').existsSync(${armed})) process.exit(3);`;
  return `data:text/javascript,${encodeURIComponent(`export const failpoints = { hit: (point) => { ${body} } };`)}`;
};
const arm = (): void => writeFileSync(join(folder.dataDir, 'armed'), '');
const demoKey = (): string => (JSON.parse(readFileSync(join(folder.dataDir, 'credentials.json'), 'utf8')) as { demo_key: string }).demo_key;
const call = (origin: string): Promise<number> =>
  fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${demoKey()}`, 'content-type': 'application/json' },
    body: JSON.stringify(DEMO_BODY),
  }).then(
    ({ status }) => status,
    () => 0,
  );

test('a store that stops for good is told, and readiness is DOWN while liveness is UP', async () => {
  const running = await folder.start({ overrides: { failpointsModule: deadlyModule() } });
  const { listeners, storeLost } = running;
  const { origin } = listeners.runtime;
  const health = async (path: string): Promise<[number, string]> => {
    const answer = await fetch(`${origin}/actuator/health/${path}`);
    return [answer.status, await answer.text()];
  };
  expect(await health('readiness')).toEqual([200, '{"status":"UP"}']);
  arm();
  expect(await call(origin)).toBe(503);
  expect((await storeLost).message).toMatch(/^the sqlite writer thread has ended/);
  expect(await health('readiness')).toEqual([503, '{"status":"DOWN"}']);
  expect(await health('liveness')).toEqual([200, '{"status":"UP"}']);
  // Nothing can be booked any more, so that a stop has nothing to wait for: by default it gives calls half a minute.
  const stoppingAtMs = performance.now();
  await running.stop();
  expect(performance.now() - stoppingAtMs).toBeLessThan(20_000);
});

test('the process ends at once with code 1 and one line of the log, and the next start works', { timeout: 60_000 }, async () => {
  const main = new URL('../../src/server/run.ts', import.meta.url).href;
  const script = `import(${JSON.stringify(main)}).then(({ run }) => run({ failpointsModule: ${JSON.stringify(deadlyModule())} }))`;
  const env = {
    PATH: process.env['PATH'] ?? '',
    CASTELLAN_DATA_DIR: folder.dataDir,
    CASTELLAN_RUNTIME_PORT: '0',
    CASTELLAN_ADMIN_PORT: '0',
  };
  const child = spawn(process.execPath, ['-e', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const closed = once(child, 'close');
    const origin = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (text: Buffer) => {
        stdout += text.toString();
        const found = /data plane +(\S+)/.exec(stdout);
        if (found !== null) resolve(found[1] ?? '');
      });
      child.once('close', () => reject(new Error(stderr)));
    });
    arm();
    const diedAtMs = performance.now();
    await call(origin);
    expect(await closed).toEqual([1, null]);
    expect(performance.now() - diedAtMs).toBeLessThan(5000);
    expect(stderr.split('\n').filter((line) => line.includes('the store has stopped for good'))).toHaveLength(1);
  } finally {
    child.kill('SIGKILL');
  }
  const { listeners } = await folder.start();
  expect(await call(listeners.runtime.origin)).toBe(200);
});
