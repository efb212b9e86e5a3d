import { describe, expect, test } from 'vitest';
import { parseIp, parseRange } from './ip-ranges.ts';
import {
  checkWebhookSecurity,
  checkWebhookUrl,
  DEFAULT_WEBHOOK_SECURITY,
  isBlockedAddress,
  type WebhookSecurity,
} from './webhook-security.ts';

const OPEN: WebhookSecurity = { blockedCidrRanges: [], allowedUrlPatterns: [], allowHttp: true };

describe('an address is read', () => {
  test.each([
    ['0.0.0.0', 32, 0n],
    ['255.255.255.255', 32, 0xffff_ffffn],
    ['::', 128, 0n],
    ['::1', 128, 1n],
    ['fe80::1:2', 128, 0xfe80_0000_0000_0000_0000_0000_0001_0002n],
    ['1:2:3:4:5:6:7:8', 128, 0x0001_0002_0003_0004_0005_0006_0007_0008n],
    ['::ffff:10.0.0.1', 128, 0xffff_0a00_0001n],
  ] as const)('%s', (text, bits, value) => expect(parseIp(text)).toEqual({ bits, value }));

  test.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':',
    '1::2::3',
    '1:2:3:4:5:6:7',
    'g::1',
    '1:2:3:4:5:6:7:8:9',
    '::1%eth0',
    '10.0.0.1:',
  ])('but not %j', (text) => expect(parseIp(text)).toBeNull());

  test.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/8/8', '::1/129', 'localhost/8', ''])('%j is no range', (text) =>
    expect(parseRange(text)).toBeNull(),
  );
});

describe('by default nothing is sent', () => {
  test.each([
    '127.0.0.1',
    '127.255.255.254',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.100.100.200',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '192.0.0.8',
    '198.18.0.1',
    '::',
    '::1',
    'fe80::1',
    'fd00:ec2::254',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::10.0.0.1',
    '2002:7f00:1::',
    '2001:0:7f00:1::f7f7:f7f7',
    '2001:0:808:808::80ff:fffe',
    'nonsense',
  ])('to %s', (address) => expect(isBlockedAddress(address, DEFAULT_WEBHOOK_SECURITY)).toBe(true));

  test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2001:0:808:808::f7f7:f7f7'])(
    'but to %s',
    (address) => expect(isBlockedAddress(address, DEFAULT_WEBHOOK_SECURITY)).toBe(false),
  );
});

test('what no server has for its own is blocked whatever the operator allows', () => {
  for (const address of ['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1', '::ffff:0.0.0.0'])
    expect(isBlockedAddress(address, OPEN)).toBe(true);
  for (const address of ['127.0.0.1', '::1', '10.0.0.1']) expect(isBlockedAddress(address, OPEN)).toBe(false);
});

describe('an address of a webhook', () => {
  const codeOf = (text: string, security = DEFAULT_WEBHOOK_SECURITY): string => {
    const outcome = checkWebhookUrl(text, security);
    return outcome.ok ? 'ok' : outcome.rejection.code;
  };
  test.each([
    ['https://hooks.example.com/x?y=1', 'ok'],
    ['http://hooks.example.com/', 'webhook_url_invalid'],
    ['https://0.0.0.0/', 'webhook_url_invalid'],
    ['https://2130706433/', 'webhook_url_invalid'],
    ['https://0x7f.1/', 'webhook_url_invalid'],
    ['https://[::ffff:127.0.0.1]/', 'webhook_url_invalid'],
    ['https://user:pass@hooks.example.com/', 'webhook_url_invalid'],
    ['https://hooks.example.com/#part', 'webhook_url_invalid'],
    ['ftp://hooks.example.com/', 'webhook_url_invalid'],
    ['/relative', 'webhook_url_invalid'],
    ['https://', 'webhook_url_invalid'],
  ])('%s: %s', (text, code) => expect(codeOf(text)).toBe(code));

  test('http only where the operator allows it', () => {
    expect(codeOf('http://hooks.example.com/', { ...DEFAULT_WEBHOOK_SECURITY, allowHttp: true })).toBe('ok');
  });

  test.each([
    ['https://a.example.com/hook', 'ok'],
    ['https://a.b.example.com/hook', 'ok'],
    ['https://A.EXAMPLE.com/hook', 'ok'],
    ['https://example.com/hook', 'webhook_url_invalid'],
    ['https://evil.test/.example.com/hook', 'webhook_url_invalid'],
    ['https://evil.test/?a=.example.com/', 'webhook_url_invalid'],
    ['https://a.example.com.evil.test/hook', 'webhook_url_invalid'],
    ['https://aXexample.com/hook', 'webhook_url_invalid'],
  ])('under the pattern https://*.example.com/*: %s is %s', (text, code) => {
    expect(codeOf(text, { ...OPEN, allowedUrlPatterns: ['https://*.example.com/*'] })).toBe(code);
  });
});

test.each([
  [{ blockedCidrRanges: ['10.0.0.0/33'] }, 'blocked_cidr_ranges.0'],
  [{ blockedCidrRanges: ['10.0.0.0/8', 'here'] }, 'blocked_cidr_ranges.1'],
  [{ allowedUrlPatterns: ['example.com'] }, 'allowed_url_patterns.0'],
  [{ allowedUrlPatterns: Array<string>(1001).fill('https://a/') }, 'allowed_url_patterns'],
])('a configuration that means nothing is refused: %j', (parts, field) => {
  expect(checkWebhookSecurity({ ...OPEN, ...parts })).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field } });
});
