import { describe, expect, test } from 'vitest';
import { parseEngineAddress } from './engine-address.ts';

const TLS = { ca: 'ca', cert: 'cert', key: 'key' };

describe('the address of an engine', () => {
  test.each([
    ['unix:///var/run/docker.sock', null, { kind: 'unix', path: '/var/run/docker.sock' }],
    ['tcp://10.0.0.5:2376', TLS, { kind: 'tcp', host: '10.0.0.5', port: 2376, tls: TLS }],
    ['tcp://engine.example', TLS, { kind: 'tcp', host: 'engine.example', port: 2376, tls: TLS }],
    ['tcp://[fd00::1]:2377/', TLS, { kind: 'tcp', host: 'fd00::1', port: 2377, tls: TLS }],
    ['tcp://127.0.0.1:2375', null, { kind: 'tcp', host: '127.0.0.1', port: 2375, tls: null }],
    ['ssh://engine.example', null, { kind: 'ssh', host: 'engine.example', port: null, user: null }],
    ['ssh://ops@10.0.0.5:2222', null, { kind: 'ssh', host: '10.0.0.5', port: 2222, user: 'ops' }],
  ])('%s', (text, tls, address) => {
    expect(parseEngineAddress(text, tls)).toEqual({ ok: true, address });
  });

  test.each([
    ['/var/run/docker.sock', null, 'must begin with unix://, tcp:// or ssh://'],
    ['http://10.0.0.5', null, 'must begin with unix://, tcp:// or ssh://'],
    ['unix://docker.sock', null, 'must be unix:// and an absolute path'],
    ['unix:///x', TLS, 'takes no certificates with unix://'],
    ['tcp://10.0.0.5:2375', null, 'needs the certificates `tls` with tcp:// to another machine'],
    ['tcp://ops@10.0.0.5', TLS, 'takes no user with tcp://'],
    ['tcp://10.0.0.5/path', TLS, 'must be a host and a port and nothing more'],
    ['ssh://ops:secret@10.0.0.5', null, 'must be a host and a port and nothing more'],
    ['ssh://10.0.0.5', TLS, 'takes no certificates with ssh://'],
    ['ssh://-oProxyCommand=x', null, 'must name a host after ssh://'],
    ['ssh://-x@10.0.0.5', null, 'must name a user of letters, digits, `_`, `.` and `-`'],
  ])('%s is refused: %#', (text, tls, rule) => {
    expect(parseEngineAddress(text, tls)).toEqual({ ok: false, rule });
  });
});
