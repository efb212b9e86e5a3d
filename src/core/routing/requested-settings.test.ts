import { describe, expect, test } from 'vitest';
import { rankingPreference, takeFormSettings, takeRequestedSettings } from './requested-settings.ts';
import { untouchedSettings, type ProjectSettings, type RequestedSettings } from './settings.ts';

describe("the router's fields of a body", () => {
  test('are taken out of it, and nothing else is', () => {
    const body = { model: 'm', preference: 'cost', eu_native: true, fallbacks: ['n'], include_metadata: null, temperature: 0.5 };
    expect(takeRequestedSettings(body)).toEqual({
      ok: true,
      value: { body: { model: 'm', temperature: 0.5 }, requested: { preference: 'cost', euNative: true, fallbacks: ['n'] } },
    });
  });

  test('leave a body without any as it is', () => {
    const body = { model: 'm' };
    const taken = takeRequestedSettings(body);
    expect(taken.ok && taken.value.body).toBe(body);
    expect(taken).toMatchObject({ value: { requested: null } });
  });

  test('ask for nothing where all are null', () => {
    expect(takeRequestedSettings({ model: 'm', preference: null })).toEqual({ ok: true, value: { body: { model: 'm' }, requested: null } });
  });

  test.each([
    ['preference', 'fast'],
    ['allowed_providers', 'scaleway'],
    ['eu_native', 'true'],
    ['fallbacks', [' ']],
  ])('are refused by name where %s is %j', (field, value) => {
    const taken = takeRequestedSettings({ model: 'm', [field]: value });
    expect(taken).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field: expect.stringContaining(field) as string } });
  });

  test('come as texts in a form', () => {
    const fields = {
      model: 'm',
      eu_native: 'true',
      allow_quantization: 'false',
      'allowed_providers[]': ['a', 'b'],
      fallbacks: 'n',
      preference: 'speed',
    };
    expect(takeFormSettings(fields)).toEqual({
      ok: true,
      value: {
        body: { model: 'm' },
        requested: { preference: 'speed', euNative: true, allowQuantization: false, allowedProviders: ['a', 'b'], fallbacks: ['n'] },
      },
    });
    expect(takeFormSettings({ model: 'm', eu_native: 'yes' })).toMatchObject({ ok: false, rejection: { field: 'eu_native' } });
  });
});

describe('what upstreams are ranked for', () => {
  const project = (changes: Partial<ProjectSettings>): ProjectSettings => ({ ...untouchedSettings(0), ...changes });
  test.each<[string, ProjectSettings | undefined, RequestedSettings | null, string | null]>([
    ['nothing, where nobody said anything', undefined, null, null],
    ['nothing, where a project set other things', project({ inference: { euNative: true } }), null, null],
    ['what the call says', undefined, { preference: 'speed' }, 'speed'],
    ['what the project says', project({ inference: { preference: 'cost' } }), {}, 'cost'],
    ['what the call says over the project', project({ inference: { preference: 'cost' } }), { preference: 'speed' }, 'speed'],
    [
      'the project, where it allows nothing else',
      project({ allowOverwrite: false, inference: { preference: 'cost' } }),
      { preference: 'speed' },
      'cost',
    ],
    ['nothing, where it allows nothing and said nothing', project({ allowOverwrite: false }), { preference: 'speed' }, null],
  ])('%s', (_name, own, requested, expected) => {
    expect(rankingPreference(own, requested)).toBe(expected);
  });
});
