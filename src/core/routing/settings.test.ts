import { describe, expect, test } from 'vitest';
import {
  effectiveSettings,
  INFERENCE_DEFAULTS,
  inferenceObject,
  parseInferenceConfig,
  parseRequestedSettings,
  REQUEST_FIELDS,
  untouchedSettings,
  type ProjectSettings,
  type RequestedSettings,
} from './settings.ts';

const project = (changes: Partial<ProjectSettings> = {}): ProjectSettings => ({
  ...untouchedSettings(1000),
  inference: { preference: 'cost', allowedProviders: ['mistral'], blacklistedModels: ['gpt'], euNative: true },
  ...changes,
});

describe('effective settings', () => {
  const asked: RequestedSettings = { preference: 'speed', allowedProviders: ['scaleway'], euNative: false };

  test.each([
    ['a tenant without settings, a call without wishes: the defaults', undefined, {}, INFERENCE_DEFAULTS],
    ['a tenant without settings lets a call have its way', undefined, asked, { ...INFERENCE_DEFAULTS, ...asked }],
    ["a call without wishes: the project's", project(), {}, { ...INFERENCE_DEFAULTS, ...project().inference }],
    ['a call may ask for other things', project(), asked, { ...INFERENCE_DEFAULTS, ...project().inference, ...asked }],
    [
      'but not where the project does not allow it',
      project({ allowOverwrite: false }),
      asked,
      { ...INFERENCE_DEFAULTS, ...project().inference },
    ],
    [
      'an empty list of providers is every provider',
      project(),
      { allowedProviders: [] },
      { ...INFERENCE_DEFAULTS, ...project().inference, allowedProviders: null },
    ],
    [
      "an empty list in the project's settings too",
      project({ inference: { allowedProviders: [] }, allowOverwrite: false }),
      asked,
      INFERENCE_DEFAULTS,
    ],
  ] as const)('%s', (_name, settings, requested, expected) => {
    expect(effectiveSettings(settings, requested)).toEqual(expected);
  });

  test('what a project forbids stays forbidden, whatever a call brings', () => {
    const parsed = parseRequestedSettings({ blacklisted_models: [], preference: 'speed' });
    expect(parsed).toEqual({ ok: true, value: { preference: 'speed' } });
    if (parsed.ok) expect(effectiveSettings(project(), parsed.value).blacklistedModels).toEqual(['gpt']);
    expect(REQUEST_FIELDS).not.toContain('blacklisted_models');
  });
});

describe('settings on the wire', () => {
  const whole = {
    preference: 'speed',
    allowed_providers: ['mistral', 'scaleway'],
    blacklisted_models: ['gpt-oss-120b', 'vendor/model:free'],
    eu_native: true,
    allow_quantization: false,
    allow_zero_data_retention: true,
    include_metadata: true,
    enable_model_fallback: true,
    fallbacks: ['mistral-small'],
  };

  test('every member is read, and written as it was', () => {
    const parsed = parseInferenceConfig(whole);
    expect(parsed.ok && inferenceObject({ ...INFERENCE_DEFAULTS, ...parsed.value })).toEqual(whole);
    const requested = parseRequestedSettings({ ...whole, model: 'm', messages: [] });
    const { blacklisted_models: _forbidden, ...rest } = whole;
    expect(requested.ok && inferenceObject({ ...INFERENCE_DEFAULTS, ...requested.value })).toEqual({ ...rest, blacklisted_models: [] });
  });

  test('null and what is missing are not set', () => {
    const nulls = Object.fromEntries(Object.keys(whole).map((name) => [name, null]));
    for (const config of [nulls, {}]) {
      expect(parseInferenceConfig(config)).toEqual({ ok: true, value: {} });
      expect(parseRequestedSettings(config)).toEqual({ ok: true, value: {} });
    }
  });

  test.each([
    ['preference', 'fast', 'be one of speed, cost, balanced'],
    ['preference', 1, 'be one of speed, cost, balanced'],
    ['allowed_providers', 'mistral', 'be a list of strings'],
    ['allowed_providers', [1], 'be a list of strings'],
    ['allowed_providers', Array.from({ length: 101 }, (_, index) => `p${index}`), 'list at most 100'],
    ['fallbacks', Array.from({ length: 21 }, (_, index) => `m${index}`), 'list at most 20'],
    ['eu_native', 'true', 'be true or false'],
    ['allow_quantization', 0, 'be true or false'],
    ['allow_zero_data_retention', 'no', 'be true or false'],
    ['include_metadata', [], 'be true or false'],
    ['enable_model_fallback', {}, 'be true or false'],
  ])('%s is refused as %j', (field, value, rule) => {
    const message = `${field} must ${rule}`;
    expect(parseRequestedSettings({ [field]: value })).toEqual({ ok: false, rejection: { code: 'invalid_request', message, field } });
    const config = parseInferenceConfig({ [field]: value });
    expect(config.ok ? null : config.rejection.field).toBe(`inference_config.${field}`);
  });

  test.each([
    ['allowed_providers', [''], 'allowed_providers.0'],
    ['allowed_providers', ['ok', 'x'.repeat(65)], 'allowed_providers.1'],
    ['blacklisted_models', ['bad id'], 'blacklisted_models.0'],
    ['fallbacks', ['fine', 'x'.repeat(201)], 'fallbacks.1'],
  ])('an entry of %s that cannot be one is named: %j', (field, value, named) => {
    const parsed = parseInferenceConfig({ [field]: value });
    expect(parsed.ok ? null : parsed.rejection.field).toBe(`inference_config.${named}`);
  });

  test('lists are taken up to their limits', () => {
    const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`);
    expect(parseInferenceConfig({ blacklisted_models: ids(500), fallbacks: ids(20), allowed_providers: ids(100) }).ok).toBe(true);
    expect(parseInferenceConfig({ blacklisted_models: ids(501) }).ok).toBe(false);
  });

  test('a name that is no setting is refused', () => {
    const parsed = parseInferenceConfig({ eu_nativ: true });
    expect(parsed.ok ? null : parsed.rejection.field).toBe('inference_config.eu_nativ');
  });
});
