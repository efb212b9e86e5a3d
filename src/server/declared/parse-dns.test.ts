import { describe, expect, test } from 'vitest';
import { Field } from './field.ts';
import { DEFAULT_DNS, parseDns } from './parse-dns.ts';

const parsed = (value: unknown) => parseDns(new Field(value, ['dns'], () => 'castellan.yaml'));

describe('the section dns', () => {
  test('has defaults, and is read exactly', () => {
    expect(parsed(undefined)).toEqual(DEFAULT_DNS);
    const servers = ['127.0.0.1:5353', '10.0.0.53', '::1', '[::1]:53'];
    expect(
      parsed({
        servers,
        timeout_ms: 500,
        check_every_ms: 1000,
        lost_after_ms: 0,
        txt_label: '_x',
        txt_prefix: 'p=',
        private_domains: ['test'],
      }),
    ).toEqual({
      lookup: { servers, timeoutMs: 500 },
      proof: { label: '_x', prefix: 'p=' },
      allowed: ['test'],
      checkEveryMs: 1000,
      lostAfterMs: 0,
    });
  });

  test.each([
    [{ servers: ['dns.example.com'] }, 'dns.servers[0] must be an IP address'],
    [{ servers: ['127.0.0.1:0'] }, 'dns.servers[0]'],
    [{ servers: ['127.0.0.1:70000'] }, 'dns.servers[0]'],
    [{ timeout_ms: 0 }, 'dns.timeout_ms'],
    [{ txt_label: 'a.b' }, 'dns.txt_label'],
    [{ txt_prefix: 'a b' }, 'dns.txt_prefix'],
    [{ private_domains: ['Test'] }, 'dns.private_domains[0]'],
    [{ server: [] }, 'server'],
  ])('is refused as %j', (section, words) => {
    expect(() => parsed(section)).toThrow(words);
  });
});
