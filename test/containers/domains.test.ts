import { describe, expect, test } from 'vitest';
import type { NewContainer } from '../../src/app/containers/deploy-container.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { ANN, makeContainerHarness, type ContainerHarness } from '../support/container-harness.ts';

const DOMAIN = 'api.example.com';
const HOUR_MS = 3_600_000;
const place = { groupName: null, groupOrder: 0, displayOrder: 0 };
const GENERATED = 'web.acme.containers.localhost';
const NEW: NewContainer = { name: 'web', repo: 'acme/web', tag: 'v1', customDomain: DOMAIN, place, replaces: null, createdBy: 'ann' };

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.rejection.code);

/** A tenant with a domain that DNS proves. */
async function prepared(): Promise<ContainerHarness> {
  const harness = makeContainerHarness();
  const made = valueOf(await harness.domains.create(ANN, 'acme', DOMAIN));
  expect(codeOf(await harness.containers.create(ANN, 'acme', NEW))).toBe('invalid_request');
  harness.dns.set(made.txtHost, [made.txtValue]);
  expect(valueOf(await harness.domains.verify(ANN, 'acme', DOMAIN)).verifiedAtMs).not.toBeNull();
  return harness;
}

describe('a domain of a container', () => {
  test('is its own as long as it is verified: it leads to what serves, and nothing below it to anything', async () => {
    const harness = await prepared();
    const { container } = valueOf(await harness.containers.create(ANN, 'acme', NEW));
    await harness.routes.refresh();
    // A proxy may make the certificate while the container comes up.
    expect([harness.routes.find(DOMAIN), harness.routes.isNamed(DOMAIN)]).toEqual([undefined, true]);
    await harness.settle();
    expect(harness.routes.find(DOMAIN)?.containerId).toBe(container.id);
    expect([DOMAIN, GENERATED, `www.${DOMAIN}`, `staging.${DOMAIN}`].map((host) => harness.routes.isNamed(host))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(harness.routes.find(GENERATED)?.containerId).toBe(container.id);
    valueOf(await harness.containers.deploy(ANN, 'acme', container.id, { staging: true, start: false }));
    await harness.settle();
    // A name below a domain may be another organization's; below the generated one nothing is.
    expect(harness.routes.find(`staging.${GENERATED}`)?.deploymentId).toBe(harness.container(container.id)?.update?.id);
    expect([harness.routes.find(`staging.${DOMAIN}`), harness.routes.isNamed(`staging.${GENERATED}`)]).toEqual([undefined, true]);
    valueOf(await harness.containers.cancel(ANN, 'acme', container.id));
    valueOf(await harness.containers.deploy(ANN, 'acme', container.id, { customDomain: '', start: false }));
    await harness.settle();
    expect(harness.routes.find(DOMAIN)).toBeUndefined();
    expect(codeOf(await harness.domains.remove(ANN, 'acme', DOMAIN))).toBe('ok');
  });

  test('belongs to one container, which a relaunch of it and one that takes its place may keep', async () => {
    const harness = await prepared();
    const { container } = valueOf(await harness.containers.create(ANN, 'acme', NEW));
    await harness.settle();
    const taken = await harness.containers.create(ANN, 'acme', { ...NEW, name: 'other' });
    expect(taken.ok ? null : taken.rejection).toMatchObject({ code: 'conflict', field: 'custom_domain', details: { containers: ['web'] } });
    const check = async (relaunches: string | null): Promise<string | null> =>
      valueOf(await harness.containers.checkName('acme', { name: 'other', debug: false, customDomain: DOMAIN, relaunches })).reason;
    expect([await check(null), await check(container.id)]).toEqual([`the domain ${DOMAIN} is in use by: web`, null]);
    expect(codeOf(await harness.containers.checkName('acme', { name: 'x', debug: false, customDomain: 'No', relaunches: null }))).toBe(
      'invalid_request',
    );
    expect(codeOf(await harness.containers.deploy(ANN, 'acme', container.id, { customDomain: DOMAIN, start: false }))).toBe('ok');
    expect(codeOf(await harness.domains.remove(ANN, 'acme', DOMAIN))).toBe('conflict');
    await harness.settle();
    const { container: next } = valueOf(await harness.containers.create(ANN, 'acme', { ...NEW, replaces: container.id }));
    await harness.settle();
    expect(harness.routes.find(DOMAIN)?.containerId).toBe(next.id);
  });

  test('leads nowhere once it is lost, with an event that names whom that concerns, and back when it is proved again', async () => {
    const harness = await prepared();
    const { container } = valueOf(await harness.containers.create(ANN, 'acme', NEW));
    await harness.settle();
    const [host = '', texts = []] = [...harness.dns][0] ?? [];
    harness.dns.clear();
    for (let hours = 0; hours < 26; hours += 1) {
      harness.advance(HOUR_MS);
      await harness.domains.recheck();
    }
    await harness.routes.refresh();
    expect(harness.routes.find(DOMAIN)).toBeUndefined();
    const lost = harness.store.tables.events.filter(({ type }) => type === 'domain.lost');
    expect(lost.map(({ data }) => data)).toEqual([{ tenant_id: 'acme', domain: DOMAIN, used_by: ['web'] }]);
    // Looks that told nothing new have left no row.
    expect(harness.store.tables.audit.filter(({ operation }) => operation === 'verify-domain').length).toBeLessThan(30);
    harness.dns.set(host, texts);
    harness.advance(HOUR_MS);
    await harness.domains.recheck();
    await harness.routes.refresh();
    expect(harness.routes.find(DOMAIN)?.containerId).toBe(container.id);
  });
});
