import { describe, expect, test } from 'vitest';
import { memberRecordId, type Member, type RecordKind, type Tenant } from '../records.ts';
import { untouchedSettings, type ProjectSettings } from '../routing/settings.ts';
import type { State } from '../verb.ts';
import type { SetProjectSettingsCommand } from './commands.ts';
import { DEFAULT_ENTITLEMENTS } from './defaults.ts';
import { projectSettingsOf, setProjectSettingsVerb } from './decide-project-settings.ts';

const NOW_MS = 5000;
const TENANT: Tenant = {
  id: 'acme',
  name: 'Acme',
  status: 'ACTIVE',
  entitlements: DEFAULT_ENTITLEMENTS,
  requireBudget: false,
  allowUnpriced: false,
  hideAmounts: false,
  keyCount: 3,
  createdAtMs: 1000,
};
const ANN: Member = { id: 'ann', tenantId: 'acme', email: 'ann@example.com', role: 'admin', createdAtMs: 1000, removedAtMs: null };

const COMMAND: SetProjectSettingsCommand = { verb: 'set-project-settings', id: 'c1', tenantId: 'acme', memberId: 'ann' };

function decide(command: Partial<SetProjectSettingsCommand>, world: { tenant?: Tenant | undefined; member?: Member | undefined } = {}) {
  const { tenant, member } = { tenant: TENANT, member: ANN, ...world };
  const records: Partial<Record<RecordKind, object | undefined>> = { tenant, member };
  const state = {
    record: (kind: RecordKind, id: string) =>
      id === (kind === 'member' ? memberRecordId('acme', 'ann') : 'acme') ? records[kind] : undefined,
  } as unknown as State;
  return setProjectSettingsVerb.decide(state, { ...COMMAND, ...command }, NOW_MS);
}

const SET: ProjectSettings = { allowOverwrite: false, inference: { preference: 'cost' }, createdAtMs: 1000, updatedAtMs: 2000 };

describe('setting project settings', () => {
  test.each([
    ['no tenant', { tenant: undefined }, 'not_found'],
    ['a closed tenant', { tenant: { ...TENANT, status: 'CLOSED' } as const }, 'tenant_closed'],
    ['nobody of that name', { member: undefined }, 'forbidden'],
    ['a member who was removed', { member: { ...ANN, removedAtMs: 2 } }, 'forbidden'],
    ['a member who is no admin', { member: { ...ANN, role: 'member' } as const }, 'forbidden'],
  ])('%s is refused', (_what, world, code) => {
    const { outcome, effects } = decide({ allowOverwrite: false }, world);
    expect(outcome.ok ? null : outcome.rejection.code).toBe(code);
    expect(effects).toEqual([]);
  });

  test('no two changes have the same moment, so that calls planned by the first are told from those planned by the second', () => {
    const { outcome } = decide({ allowOverwrite: true }, { tenant: { ...TENANT, projectSettings: { ...SET, updatedAtMs: NOW_MS } } });
    expect(outcome).toMatchObject({ value: { updatedAtMs: NOW_MS + 1 } });
  });

  test.each([
    ['one flag of a tenant that has set nothing', {}, { allowOverwrite: false }, { ...untouchedSettings(1000), allowOverwrite: false }],
    [
      'settings replace those before',
      { projectSettings: SET },
      { inference: { euNative: true } },
      { ...SET, inference: { euNative: true } },
    ],
    ['the flag leaves settings alone', { projectSettings: SET }, { allowOverwrite: true }, { ...SET, allowOverwrite: true }],
  ])('%s', (_what, before, command, expected) => {
    const { outcome, effects } = decide(command, { tenant: { ...TENANT, ...before } });
    const projectSettings = { ...expected, updatedAtMs: NOW_MS };
    expect(outcome).toEqual({ ok: true, value: projectSettings });
    expect(effects[0]).toEqual({ type: 'record', kind: 'tenant', id: 'acme', record: { ...TENANT, projectSettings } });
    expect(effects[1]).toMatchObject({
      type: 'event',
      event: {
        type: 'project_settings.updated',
        data: { changed_fields: Object.keys(command).map((name) => (name === 'inference' ? 'inference_config' : 'allow_overwrite')) },
      },
    });
  });

  test('what is so already changes nothing, and keeps the moment of the last change', () => {
    const tenant = { ...TENANT, projectSettings: SET };
    expect(decide({ allowOverwrite: false, inference: { preference: 'cost' } }, { tenant })).toMatchObject({
      outcome: { ok: true, value: SET },
      effects: [],
    });
    expect(decide({}, { tenant: TENANT })).toMatchObject({ outcome: { ok: true, value: projectSettingsOf(TENANT) }, effects: [] });
  });
});
