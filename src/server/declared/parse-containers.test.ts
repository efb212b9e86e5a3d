import { describe, expect, test } from 'vitest';
import { Field } from './field.ts';
import { NO_CONTAINERS, parseContainers } from './parse-containers.ts';

function parsed(containers: unknown, ingress?: unknown) {
  const fieldOf = (value: unknown, name: string): Field => new Field(value, [name], () => 'castellan.yaml');
  const nothing = (name: string): Field => fieldOf(undefined, name);
  return parseContainers({
    hosts: nothing('hosts'),
    sources: nothing('sources'),
    registries: nothing('registries'),
    ingress: fieldOf(ingress, 'ingress'),
    dns: nothing('dns'),
    containers: fieldOf(containers, 'containers'),
    ssh: nothing('ssh'),
  });
}

describe('what containers cost', () => {
  test('is nothing unless it is declared, and exact in nano-dollars where it is', () => {
    expect(parsed(undefined)).toEqual(NO_CONTAINERS);
    expect(parsed({ prices: { cpu_hour: 0.04, gpu_hour: '2.123456789' }, unpaid_grace_ms: 0 })).toMatchObject({
      prices: { cpuHourNanos: 40_000_000n, memoryGbHourNanos: 0n, gpuHourNanos: 2_123_456_789n },
      settings: { ...NO_CONTAINERS.settings, unpaidGraceMs: 0 },
    });
  });

  test.each([
    [{ prices: { cpu_hour: -1 } }, 'containers.prices.cpu_hour must be'],
    [{ prices: { cpu_hour: 0.0000000001 } }, 'containers.prices.cpu_hour must be a price of an hour in USD'],
    [{ prices: { gpu_hour: 1001 } }, 'from 0 to 1000'],
    [{ prices: { disk_hour: 1 } }, 'disk_hour'],
    [{ unpaid_grace_ms: -1 }, 'containers.unpaid_grace_ms'],
  ])('is refused as %j', (section, words) => {
    expect(() => parsed(section)).toThrow(words);
  });
});

describe('proxies before the ingress', () => {
  test('are addresses and networks, none unless they are declared', () => {
    const networks = ['127.0.0.1', '::1', '10.0.0.0/8', '2001:db8::/32'];
    expect(parsed(undefined, { trusted_proxies: networks }).trustedProxies).toEqual(networks);
    expect(parsed(undefined).trustedProxies).toEqual([]);
  });

  test.each(['', 'localhost', '10.0.0.0/33', '::1/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0/8', '*', 7])(
    'are refused as %j',
    (network) => {
      expect(() => parsed(undefined, { trusted_proxies: [network] })).toThrow('ingress.trusted_proxies[0] must be');
    },
  );
});
