import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUDGET_UNIT, makeCyclesControl, type CyclesControl, type CyclesTenant } from '../support/cycles-tenant.ts';
import { makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';

const RESERVES = 600;
/** What fits into the narrowest of the three budgets, with something over that pays for no further hold. */
const FITTING = 75;
const AMOUNT = 7;
const TIMEOUT_MS = 120_000;

/** Where a suite runs: its store, and how many processes share it. */
export interface CyclesRaceTarget {
  readonly makeStore: () => Promise<TestStore>;
  readonly processes: number;
}

interface Balance {
  readonly scope_path: string;
  readonly remaining: { readonly amount: number };
  readonly reserved?: { readonly amount: number };
  readonly spent?: { readonly amount: number };
}

/** Defines the races of reserves over nested budgets on one store and number of processes. */
export function testCyclesRaces(target: CyclesRaceTarget): void {
  let client: HttpClient;
  let servers: TestServer[];
  let control: CyclesControl;

  beforeAll(async () => {
    client = makeHttpClient({ connections: 200 });
    const store = await target.makeStore();
    const env = target.processes === 1 ? {} : { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64') };
    servers = [];
    for (let each = 0; each < target.processes; each++) servers.push(await startServer({ store, env }));
    control = makeCyclesControl(servers[0]!, client);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.dispose()));
    await client.close();
  });

  /** A tenant with three nested budgets, the deepest of which is the narrowest. */
  async function arrange(id: string): Promise<{ tenant: CyclesTenant; scopes: string[] }> {
    const tenant = await control.makeTenant(id);
    const scopes = [`tenant:${id}`, `tenant:${id}/app:bot`, `tenant:${id}/app:bot/agent:scribe`];
    const narrowest = FITTING * AMOUNT + AMOUNT - 1;
    for (const [index, scope] of scopes.entries()) await control.makeBudget(id, scope, narrowest + (2 - index) * 1000);
    return { tenant, scopes };
  }

  const ask = (server: TestServer, tenant: CyclesTenant, path: string, body?: unknown): Promise<Answer> =>
    client.ask(`${server.runtime}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'x-cycles-api-key': tenant.key },
      ...(body === undefined ? {} : { body }),
    });

  const reserveBody = (tenant: CyclesTenant, index: number): unknown => ({
    idempotency_key: `race-${index}`,
    subject: { tenant: tenant.id, app: 'bot', agent: 'scribe' },
    action: { kind: 'llm.completion', name: 'race' },
    estimate: { unit: BUDGET_UNIT, amount: AMOUNT },
    ttl_ms: 600_000,
  });

  /** Asks as a patient client does: the same request again, of whichever process lives, until one of them has decided. */
  async function askUntilDecided(tenant: CyclesTenant, path: string, body: unknown, from: number): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await ask(servers[(from + attempt) % servers.length]!, tenant, path, body);
        if (answer.status !== 503) return answer;
      } catch (error) {
        // The process is gone, or goes; the error is the client's own word for a connection that broke or was refused.
        if (attempt > 400) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function expectBalances(tenant: CyclesTenant, scopes: readonly string[], want: { reserved: number; spent: number }): Promise<void> {
    const answer = await askUntilDecided(tenant, `/v1/balances?tenant=${tenant.id}`, undefined, 0);
    expect(answer.status).toBe(200);
    const { balances } = answer.json<{ balances: Balance[] }>();
    expect(balances.map(({ scope_path: path }) => path).toSorted()).toEqual([...scopes].toSorted());
    for (const { reserved, spent } of balances) {
      expect({ reserved: reserved?.amount ?? 0, spent: spent?.amount ?? 0 }).toEqual(want);
    }
  }

  const reservationOf = (answer: Answer): string => answer.json<{ reservation_id: string }>().reservation_id;

  function expectDecided(answers: readonly Answer[]): string[] {
    const admitted = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 409);
    expect(admitted.length + refused.length).toBe(answers.length);
    for (const answer of refused) expect(answer.json<{ error: string }>().error).toBe('BUDGET_EXCEEDED');
    return admitted.map(reservationOf);
  }

  describe('three nested budgets, the narrowest of which pays for 75 holds', () => {
    test('admit exactly 75 of 600 reserves that come at once, and answer the others', { timeout: TIMEOUT_MS }, async () => {
      const { tenant, scopes } = await arrange('race-plain');
      const answers = await Promise.all(
        Array.from({ length: RESERVES }, (_, index) =>
          ask(servers[index % servers.length]!, tenant, '/v1/reservations', reserveBody(tenant, index)),
        ),
      );
      const ids = expectDecided(answers);
      expect(new Set(ids).size).toBe(FITTING);
      await expectBalances(tenant, scopes, { reserved: FITTING * AMOUNT, spent: 0 });

      // Every hold is committed or released by two clients at once: one of them wins, and nothing is counted twice.
      const settled = await Promise.all(
        ids.flatMap((id, index) => [
          ask(servers[index % servers.length]!, tenant, `/v1/reservations/${id}/commit`, {
            idempotency_key: `commit-${id}`,
            actual: { unit: BUDGET_UNIT, amount: AMOUNT - 2 },
          }),
          ask(servers[(index + 1) % servers.length]!, tenant, `/v1/reservations/${id}/release`, { idempotency_key: `release-${id}` }),
        ]),
      );
      const commits = settled.filter((answer, index) => index % 2 === 0 && answer.status === 200).length;
      const releases = settled.filter((answer, index) => index % 2 === 1 && answer.status === 200).length;
      expect(commits + releases).toBe(FITTING);
      for (const answer of settled.filter(({ status }) => status !== 200)) {
        expect({ status: answer.status, error: answer.json<{ error: string }>().error }).toEqual({
          status: 409,
          error: 'RESERVATION_FINALIZED',
        });
      }
      await expectBalances(tenant, scopes, { reserved: 0, spent: commits * (AMOUNT - 2) });
    });

    test('admit exactly 75 while a process is killed twice in the middle of it', { timeout: TIMEOUT_MS }, async () => {
      const { tenant, scopes } = await arrange('race-killed');
      let decided = 0;
      const reserving = Array.from({ length: RESERVES }, async (_, index) => {
        // Spread out, so that the kills meet reserves of every stage.
        await new Promise((resolve) => setTimeout(resolve, index * 4));
        const answer = await askUntilDecided(tenant, '/v1/reservations', reserveBody(tenant, index), index);
        decided += 1;
        return answer;
      });
      const killing = (async () => {
        const victim = servers.at(-1)!;
        for (const moment of [20, 60]) {
          while (decided < moment) await new Promise((resolve) => setTimeout(resolve, 5));
          await victim.kill();
          await victim.start();
        }
      })();
      const answers = await Promise.all(reserving);
      await killing;
      const ids = expectDecided(answers);
      expect(new Set(ids).size).toBe(FITTING);
      await expectBalances(tenant, scopes, { reserved: FITTING * AMOUNT, spent: 0 });

      // Whoever asks again gets the answer that was given, also of a process that did not give it.
      const again = await Promise.all(
        Array.from({ length: RESERVES }, (_, index) => askUntilDecided(tenant, '/v1/reservations', reserveBody(tenant, index), index + 1)),
      );
      expect(new Set(again.filter(({ status }) => status === 200).map(reservationOf))).toEqual(new Set(ids));
      await expectBalances(tenant, scopes, { reserved: FITTING * AMOUNT, spent: 0 });
    });
  });

  test('afterwards the ledger verifies', { timeout: TIMEOUT_MS }, async () => {
    for (const server of servers) expect((await server.stop()).code).toBe(0);
    expect((await servers[0]!.verify()).discrepancies).toEqual([]);
  });
}
