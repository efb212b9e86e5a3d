import { expect } from 'vitest';
import { stringifyJson } from '../../src/core/json/int64.ts';
import { budgetId, remainingOf } from '../../src/core/ledger/account.ts';
import type { Runtime, Sender } from '../api/cycles-runtime/runtime-harness.ts';
import type { TestResponse } from '../support/test-app.ts';
import { CyclesModel, leftOf, type ModelBudget, type Said } from './cycles-model.ts';
import { MAX_EXTENSIONS, scopesOf, subjectsOf, UNITS, type Life, type Step } from './cycles-steps.ts';

/** A request that was done, to be sent again. */
interface Done {
  readonly operation: string;
  readonly url: string;
  readonly body: Record<string, unknown>;
  readonly text: string;
  /** The reservation whose time is left that the answer tells, and the end that it told. */
  readonly holds: { readonly id: string; readonly endsAt: number } | null;
}

const bodyOf = (answer: TestResponse): Record<string, unknown> => answer.json;
const withoutTtl = (text: string): string => text.replace(/"remaining_ttl_ms":\d+/, '');
const amountOf = (value: unknown): bigint | undefined => {
  const shown = (value as { amount?: number | bigint } | undefined)?.amount;
  return shown === undefined ? undefined : BigInt(shown);
};

/** Plays the lives of tenants on one surface over one store. */
export class Player {
  readonly #runtime: Runtime;
  readonly #tenant: string;
  readonly #key: Sender;
  readonly #model: CyclesModel;
  readonly #scale: bigint;
  readonly #tally: Map<string, number>;
  readonly #sweep: () => Promise<unknown>;
  readonly #ids: string[] = [];
  readonly #done: Done[] = [];
  #sent = 0;

  constructor(
    at: { runtime: Runtime; tenant: string; key: Sender; tally: Map<string, number>; sweep: () => Promise<unknown> },
    life: Life,
  ) {
    this.#runtime = at.runtime;
    this.#tenant = at.tenant;
    this.#key = at.key;
    this.#tally = at.tally;
    this.#sweep = at.sweep;
    this.#scale = life.scale;
    this.#model = new CyclesModel({ defaultPolicy: life.defaultPolicy, maxExtensions: MAX_EXTENSIONS });
  }

  async play(step: Step): Promise<void> {
    const outcome = await this.#do(step);
    if (outcome !== null) this.#tally.set(`${step.kind} ${outcome}`, (this.#tally.get(`${step.kind} ${outcome}`) ?? 0) + 1);
    await this.#compareBudgets();
  }

  get #now(): number {
    return this.#runtime.clock.nowMs();
  }

  #amount(value: number): bigint {
    return BigInt(value) * this.#scale;
  }

  #id(place: number): string {
    return this.#ids.length === 0 ? 'rsv_none' : (this.#ids.at(-1 - (place % this.#ids.length)) ?? '');
  }

  async #do(step: Step): Promise<string | null> {
    switch (step.kind) {
      case 'wait':
        this.#runtime.clock.advance(step.ms);
        return null;
      case 'sweep':
        await this.#sweep();
        this.#model.sweep(this.#now);
        return 'done';
      case 'reserve':
      case 'decide':
      case 'dry-run':
      case 'event':
        return this.#spend(step);
      case 'commit':
      case 'release':
      case 'extend':
      case 'unknown':
        return this.#settle(step);
      case 'repeat':
        return this.#repeat(step);
      case 'suspend':
      case 'reactivate':
      case 'close':
        return this.#setTenant(step.kind);
      default:
        return this.#manage(step);
    }
  }

  /** Sends a request of the tenant and holds its answer against what the model said. */
  async #send(
    request: { operation: string; url: string; body: Record<string, unknown>; status?: number },
    said: (answer: TestResponse) => Said,
  ): Promise<{ answer: TestResponse; outcome: string; said: Said }> {
    const { operation, url, status = 200 } = request;
    const body = { idempotency_key: `key-${(this.#sent += 1)}`, ...request.body };
    const answer = await this.#runtime.ask(operation, this.#key, 'POST', url, body);
    if (this.#model.status === 'CLOSED') {
      expect([answer.status, bodyOf(answer)['error']]).toEqual([401, 'UNAUTHORIZED']);
      return { answer, outcome: 'after the close', said: { code: 'UNAUTHORIZED' } };
    }
    const expected = said(answer);
    const context = `${operation} ${url} ${answer.text}`;
    if (expected.code !== undefined) {
      expect(bodyOf(answer)['error'], `at ${context}`).toBe(expected.code);
      return { answer, outcome: expected.code, said: expected };
    }
    expect(answer.status, `at ${context}`).toBe(status);
    this.#compareBalances(answer, expected.touched, context);
    const id = (bodyOf(answer)['reservation_id'] as string | undefined) ?? url.split('/')[3] ?? '';
    const holds = expected['endsAt'] === undefined ? null : { id, endsAt: expected['endsAt'] as number };
    this.#done.push({ operation, url, body, text: answer.text, holds });
    return { answer, outcome: 'ok', said: expected };
  }

  async #spend(step: Extract<Step, { kind: 'reserve' | 'decide' | 'dry-run' | 'event' }>): Promise<string> {
    const subject = subjectsOf(this.#tenant)[step.who] ?? {};
    const named = UNITS[step.unit] ?? 'TOKENS';
    const asked = this.#amount(step.amount);
    const shared = { subject, action: { kind: 'llm.completion', name: 'property' } };
    const value = { unit: named, amount: asked };
    if (step.kind === 'event') {
      const body = { ...shared, actual: value, ...(step.policy === undefined ? {} : { overage_policy: step.policy }) };
      const sent = await this.#send({ operation: 'createEvent', url: '/v1/events', body, status: 201 }, () =>
        this.#model.event(subject, named, asked, step.policy),
      );
      if (sent.said.code === undefined) expect(amountOf(bodyOf(sent.answer)['charged'])).toBe(sent.said['charged']);
      return sent.outcome;
    }
    if (step.kind !== 'reserve') {
      const isDryRun = step.kind === 'dry-run';
      const body = { ...shared, estimate: value, ...(isDryRun ? { dry_run: true } : {}) };
      const request = { operation: isDryRun ? 'createReservation' : 'decide', url: isDryRun ? '/v1/reservations' : '/v1/decide', body };
      const { answer, outcome, said } = await this.#send(request, () => this.#model.decide(subject, named, asked));
      if (said.code !== undefined) return outcome;
      expect(bodyOf(answer)).toMatchObject({ decision: said['decision'], affected_scopes: this.#model.scopesOf(subject) });
      expect(bodyOf(answer)['reason_code']).toBe(said['reason']);
      return (said['reason'] as string | undefined) ?? 'ALLOW';
    }
    const { policy: overage_policy, ttl: ttl_ms, grace: grace_period_ms } = step;
    const body = { ...shared, estimate: value, ttl_ms, grace_period_ms, ...(overage_policy === undefined ? {} : { overage_policy }) };
    const spend = { subject, unit: named, amount: asked, policy: overage_policy, ttl: ttl_ms, grace: grace_period_ms };
    const sent = await this.#send({ operation: 'createReservation', url: '/v1/reservations', body }, (answer) =>
      this.#model.reserve(bodyOf(answer)['reservation_id'] as string | undefined, spend, this.#now),
    );
    if (sent.said.code === undefined) {
      this.#ids.push(bodyOf(sent.answer)['reservation_id'] as string);
      expect(bodyOf(sent.answer)).toMatchObject({ decision: 'ALLOW', expires_at_ms: this.#now + ttl_ms, remaining_ttl_ms: ttl_ms });
      for (const budget of sent.said.touched)
        expect(leftOf(budget) >= 0n, `${budget.scope} was admitted beyond what it had left`).toBe(true);
    }
    return sent.outcome;
  }

  async #settle(step: Extract<Step, { kind: 'commit' | 'release' | 'extend' | 'unknown' }>): Promise<string> {
    const id = step.kind === 'unknown' ? `rsv_unknown_${step.which}` : this.#id(step.which);
    const url = `/v1/reservations/${id}`;
    if (step.kind === 'extend') {
      const body = { extend_by_ms: step.by };
      return (
        await this.#send({ operation: 'extendReservation', url: `${url}/extend`, body }, () => this.#model.extend(id, step.by, this.#now))
      ).outcome;
    }
    if (step.kind !== 'commit') {
      const sent = await this.#send({ operation: 'releaseReservation', url: `${url}/release`, body: {} }, () =>
        this.#model.release(id, this.#now),
      );
      if (sent.said.code === undefined) expect(amountOf(bodyOf(sent.answer)['released'])).toBe(sent.said['released']);
      return sent.outcome;
    }
    const held = this.#model.holds.get(id)?.unit ?? 'TOKENS';
    const named = step.wrongUnit ? (UNITS.find((each) => each !== held) ?? held) : held;
    const actual = this.#amount(step.amount);
    const request = { operation: 'commitReservation', url: `${url}/commit`, body: { actual: { unit: named, amount: actual } } };
    const { answer, outcome, said } = await this.#send(request, () => this.#model.commit(id, named, actual, this.#now));
    if (said.code === undefined) {
      expect(amountOf(bodyOf(answer)['charged'])).toBe(said['charged']);
      expect(amountOf(bodyOf(answer)['released']) ?? 0n).toBe(said['released']);
    }
    return outcome;
  }

  /** Sends a request again that was done: the answer is the same, or where it says something else a mismatch; nothing happens. */
  async #repeat(step: Extract<Step, { kind: 'repeat' }>): Promise<string | null> {
    const done = this.#done[step.which % Math.max(1, this.#done.length)];
    if (done === undefined) return null;
    const { operation, url, holds } = done;
    const changed = operation === 'releaseReservation' ? { reason: 'another' } : { metadata: { another: true } };
    const answer = await this.#runtime.ask(operation, this.#key, 'POST', url, step.otherwise ? { ...done.body, ...changed } : done.body);
    if (this.#model.status === 'CLOSED') {
      expect(answer.status).toBe(401);
      return 'after the close';
    }
    if (step.otherwise) {
      expect(bodyOf(answer)['error'], `${operation} ${answer.text}`).toBe('IDEMPOTENCY_MISMATCH');
      return 'mismatch';
    }
    expect(withoutTtl(answer.text)).toBe(withoutTtl(done.text));
    if (holds !== null) {
      const left = this.#model.holds.get(holds.id)?.state === 'ACTIVE' ? Math.max(0, holds.endsAt - this.#now) : 0;
      expect(bodyOf(answer)['remaining_ttl_ms']).toBe(left);
    }
    return 'same';
  }

  async #setTenant(to: 'suspend' | 'reactivate' | 'close'): Promise<string | null> {
    const status = { suspend: 'SUSPENDED', reactivate: 'ACTIVE', close: 'CLOSED' }[to] as CyclesModel['status'];
    if (this.#model.status === 'CLOSED' || this.#model.status === status) return null;
    await this.#runtime.patchTenant(this.#tenant, { status });
    if (status === 'CLOSED') this.#model.close();
    this.#model.status = status;
    return 'done';
  }

  async #manage(step: Extract<Step, { where: number }>): Promise<string | null> {
    // A tenant that is closed changes no more: that is the business of other tests.
    if (this.#model.status === 'CLOSED') return null;
    const scope = scopesOf(this.#tenant)[step.where] ?? '';
    const named = UNITS[step.unit] ?? 'TOKENS';
    const name = `${scope} ${named}`;
    const at = `scope=${scope}&unit=${named}`;
    const value = (number: number): unknown => ({ unit: named, amount: this.#amount(number) });
    const send = async (method: 'POST' | 'PATCH', url: string, body: unknown, said: Said): Promise<string> => {
      const answer = await this.#runtime.operator(method, url, stringifyJson(body));
      const context = `${method} ${url} ${answer.text}`;
      if (said.code === undefined) expect(answer.status, `at ${context}`).toBeLessThan(300);
      else if (said.code === 'refused' || said.code === 'TENANT_SUSPENDED')
        expect(answer.status, `at ${context}`).toBeGreaterThanOrEqual(400);
      else expect(bodyOf(answer)['error'], `at ${context}`).toBe(said.code);
      return said.code ?? 'ok';
    };
    switch (step.kind) {
      case 'make-budget': {
        const parts = { allocated: this.#amount(step.amount), overdraft: this.#amount(step.overdraft), policy: step.policy ?? null };
        const said = this.#model.makeBudget({ scope, unit: named, ...parts });
        const body = { tenant_id: this.#tenant, scope, unit: named, allocated: value(step.amount), overdraft_limit: value(step.overdraft) };
        return send(
          'POST',
          '/v1/admin/budgets',
          { ...body, ...(step.policy === undefined ? {} : { commit_overage_policy: step.policy }) },
          said,
        );
      }
      case 'fund': {
        const { operation, spent } = step;
        const isSpent = operation === 'RESET_SPENT' && spent !== undefined;
        const said = this.#model.fund(name, operation, this.#amount(step.amount), isSpent ? this.#amount(spent) : null);
        const body = {
          operation,
          amount: value(step.amount),
          idempotency_key: `fund-${(this.#sent += 1)}`,
          ...(isSpent ? { spent: value(spent) } : {}),
        };
        return send('POST', `/v1/admin/budgets/fund?tenant_id=${this.#tenant}&${at}`, body, said);
      }
      case 'overdraft':
        return send(
          'PATCH',
          `/v1/admin/budgets?${at}`,
          { overdraft_limit: value(step.amount) },
          this.#model.setOverdraft(name, this.#amount(step.amount)),
        );
      case 'freeze':
        return send('POST', `/v1/admin/budgets/freeze?${at}`, {}, this.#model.setStatus(name, 'FROZEN'));
      case 'unfreeze':
        return send('POST', `/v1/admin/budgets/unfreeze?${at}`, {}, this.#model.setStatus(name, 'ACTIVE'));
      case 'close-budget':
        return send('POST', `/v1/x-castellan/budgets/close?${at}`, {}, this.#model.setStatus(name, 'CLOSED'));
    }
  }

  /** The balances of an answer, each field of them. */
  #compareBalances(answer: TestResponse, touched: readonly ModelBudget[], context: string): void {
    const balances = bodyOf(answer)['balances'] as Record<string, unknown>[] | undefined;
    if (balances === undefined) return;
    const shown = balances.map((balance) => [
      balance['scope_path'],
      amountOf(balance['remaining']),
      amountOf(balance['reserved']),
      amountOf(balance['spent']),
      amountOf(balance['allocated']),
      amountOf(balance['debt']) ?? 0n,
      amountOf(balance['overdraft_limit']) ?? 0n,
      balance['is_over_limit'] ?? false,
    ]);
    expect(shown, `at ${context}`).toEqual(
      touched.map((budget) => [
        budget.scope,
        leftOf(budget),
        budget.held,
        budget.spent,
        budget.allocated,
        budget.owed,
        budget.overdraft,
        budget.over,
      ]),
    );
  }

  /** Every budget as the store has it, and what must be true of any. */
  async #compareBudgets(): Promise<void> {
    const budgets = [...this.#model.budgets.values()];
    const ids = budgets.map(({ scope, unit: named }) => budgetId(this.#tenant, scope, named));
    const accounts = await this.#runtime.store.accounts(ids);
    for (const [index, id] of ids.entries()) {
      const account = accounts.get(id);
      const { allocated, spent, held, owed, overdraft: overdraftLimit, over, status } = budgets[index] as ModelBudget;
      expect(account, `of ${id}`).toMatchObject({
        allocated,
        spent,
        reserved: held,
        debt: owed,
        overdraftLimit,
        isOverLimit: over,
        status,
      });
      if (account === undefined) continue;
      expect([spent >= 0n, held >= 0n, owed >= 0n, remainingOf(account) === allocated - spent - held - owed]).toEqual([
        true,
        true,
        true,
        true,
      ]);
      expect(over || owed <= overdraftLimit, `${id} owes more than it may, and no flag says so`).toBe(true);
      const legs = [...this.#model.holds.values()].filter(
        (hold) => hold.state === 'ACTIVE' && hold.on.includes(budgets[index] as ModelBudget),
      );
      expect(held, `${id} holds what its reservations hold`).toBe(legs.reduce((sum, hold) => sum + hold.amount, 0n));
    }
  }

  /** The state of every reservation, at the end. */
  async compareHolds(): Promise<void> {
    for (const [id, hold] of this.#model.holds) {
      const found = await this.#runtime.store.reservation(id);
      expect([id, found?.state, found?.expiresAtMs, found?.extensions, found?.overagePolicy]).toEqual([
        id,
        hold.state,
        hold.endsAt,
        hold.extended,
        hold.policy,
      ]);
    }
  }
}
