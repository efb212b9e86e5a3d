import { expect, test } from 'vitest';
import { baseUrlFault } from './base-url.ts';

test.each(['http://x/v1', 'https://api.example.com', 'http://127.0.0.1:65535/v1', 'http://[::1]:8080/v1', 'http://my_host.local:1/a%20b'])(
  'takes %s',
  (text) => {
    expect(baseUrlFault(text)).toBeNull();
  },
);

test.each([
  'http://x:99999/v1',
  'http://x:65536',
  'http://x:0/v1',
  'http://[:::::]/v1',
  'http://[1.2.3.4]/v1',
  'http://1.2.3.999/v1',
  'ftp://x/v1',
  'http:x',
  'http:/x',
  'http:\\\\x',
  ' http://x',
  'http://x y',
  'http://',
  'x',
  '',
])('refuses %s', (text) => {
  expect(baseUrlFault(text)).toContain('be an http:// or https:// address');
});

test.each([
  ['http://u:p@x/v1', 'user or password'],
  ['http://u@x/v1', 'user or password'],
  ['http://x/v1?key=1', 'query or fragment'],
  ['http://x/v1?', 'query or fragment'],
  ['http://x/v1#', 'query or fragment'],
])('says what is in the way in %s', (text, what) => {
  expect(baseUrlFault(text)).toContain(what);
});
