import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCaddy, type TestCaddy } from '../support/caddy.ts';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';
import { waitUntil } from '../support/wait-until.ts';

const SLOW_MS = 60_000;

let stage: ContainerStage;
let caddy: TestCaddy;

beforeAll(async () => {
  stage = await startContainerStage();
  const image = await stage.page('by TLS');
  for (const repo of ['one', 'two']) stage.release(repo, 'v1', pageConfig(image));
  caddy = await startCaddy({ ask: `${stage.server.admin}/internal/ask`, ingress: new URL(stage.server.ingress).host });
}, SLOW_MS);

afterAll(async () => {
  await caddy.stop();
  await stage.stop();
}, SLOW_MS);

/** Asks a host for its page over a connection that is open already. */
async function get(session: ClientHttp2Session, host: string): Promise<string> {
  const stream = session.request({ ':path': '/', ':authority': host });
  let status = 0;
  let text = '';
  stream.on('response', (headers) => void (status = Number(headers[':status'])));
  stream.on('data', (piece) => (text += String(piece)));
  await once(stream, 'close');
  return `${status} ${text}`;
}

/** The names of a certificate that is made for a name, over a connection of its own. */
async function certificateOf(host: string): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port: caddy.httpsPort, servername: host, ca: caddy.ca });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().subjectaltname ?? '';
  } finally {
    socket.destroy();
  }
}

test(
  'a restart behind Caddy is not seen: connections of HTTP/2 go on, and new names get their certificates',
  async () => {
    const domains: string[] = [];
    for (const name of ['one', 'two']) {
      const { body } = await stage.api('POST', '/containers', { name, repo: `acme/${name}`, tag: 'v1' });
      domains.push((await stage.until(body.id, ({ status }) => status === 'ready')).domain);
    }
    const [first = '', second = ''] = domains;
    const session = connect(`https://127.0.0.1:${caddy.httpsPort}`, { servername: first, ca: caddy.ca });
    session.on('error', () => undefined);
    expect(await get(session, first)).toBe('200 by TLS');
    const answers: string[] = [];
    let isOver = false;
    const visiting = (async () => {
      while (!isOver) answers.push(await get(session, first));
    })();
    stage.server.signal('SIGUSR2');
    // The second name has no certificate yet: whichever process is asked has to know it.
    expect(await certificateOf(second)).toBe(`DNS:${second}`);
    await waitUntil(async () => stage.server.stderr().includes('restart: the new process serves'), SLOW_MS);
    const before = answers.length;
    await waitUntil(async () => answers.length > before + 20, SLOW_MS);
    isOver = true;
    await visiting;
    expect(new Set(answers)).toEqual(new Set(['200 by TLS']));
    expect(session.closed).toBe(false);
    session.close();
  },
  SLOW_MS,
);
