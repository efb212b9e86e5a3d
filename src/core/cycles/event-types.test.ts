import { describe, expect, test } from 'vitest';
import { categoryOf, EVENT_CATEGORIES, EVENT_TYPES, isEventCategory, isEventType, isTenantEventType } from './event-types.ts';

describe('event types', () => {
  test('there are 51, each once, and each belongs to the category before its dot', () => {
    expect(EVENT_TYPES).toHaveLength(51);
    expect(new Set(EVENT_TYPES).size).toBe(51);
    for (const type of EVENT_TYPES) expect(categoryOf(type)).toBe(type.slice(0, type.indexOf('.')));
    expect(new Set(EVENT_TYPES.map(categoryOf))).toEqual(new Set(EVENT_CATEGORIES));
  });

  test('a tenant sees the 29 of budgets, reservations and tenants, and no other', () => {
    const visible = EVENT_TYPES.filter(isTenantEventType);
    expect(visible).toHaveLength(29);
    expect(visible.every((type) => /^(?:budget|reservation|tenant)\./.test(type))).toBe(true);
    expect(visible).not.toContain('api_key.created');
    expect(visible).not.toContain('policy.updated');
  });

  test('only registered names are types and categories', () => {
    expect([isEventType('budget.funded'), isEventType('Budget.funded'), isEventType('custom.x'), isEventType('')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([isEventCategory('api_key'), isEventCategory('custom')]).toEqual([true, false]);
  });
});
