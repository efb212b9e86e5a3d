import type { AccessCommand } from './commands.ts';
import type { Verb } from '../verb.ts';
import { createKeyVerb } from './decide-create-key.ts';
import { addMemberVerb, removeMemberVerb } from './decide-member.ts';
import { putModelVerb, updateModelVerb } from './decide-model.ts';
import { addExchangeRateVerb } from './decide-exchange-rate.ts';
import { addPriceVerb } from './decide-price.ts';
import { removeRecordVerb } from './decide-remove-record.ts';
import { rotateKeyVerb } from './decide-rotate-key.ts';
import { resealVerb } from './decide-reseal.ts';
import { setProjectSettingsVerb } from './decide-project-settings.ts';
import { initSettingVerb } from './decide-setting.ts';
import { keepSpeedsVerb } from './decide-speeds.ts';
import { createTenantVerb, ensureTenantVerb } from './decide-create-tenant.ts';
import { updateTenantVerb } from './decide-tenant.ts';
import { putSealedKeysVerb } from '../sealed/decide-sealed-keys.ts';
import { deleteKeyVerb, updateKeyVerb } from './decide-update-key.ts';
import { putUsageReporterVerb, updateUsageReporterVerb } from './decide-usage-reporter.ts';
import { putUpstreamVerb, updateUpstreamVerb } from './decide-upstream.ts';

/** The decisions that change records, by verb. */
export const ACCESS_VERBS = {
  'create-tenant': createTenantVerb,
  'ensure-tenant': ensureTenantVerb,
  'update-tenant': updateTenantVerb,
  'add-member': addMemberVerb,
  'remove-member': removeMemberVerb,
  'create-key': createKeyVerb,
  'update-key': updateKeyVerb,
  'rotate-key': rotateKeyVerb,
  'delete-key': deleteKeyVerb,
  'put-upstream': putUpstreamVerb,
  'update-upstream': updateUpstreamVerb,
  'put-model': putModelVerb,
  'update-model': updateModelVerb,
  'remove-record': removeRecordVerb,
  'add-price': addPriceVerb,
  'add-exchange-rate': addExchangeRateVerb,
  'put-usage-reporter': putUsageReporterVerb,
  'update-usage-reporter': updateUsageReporterVerb,
  'set-project-settings': setProjectSettingsVerb,
  'init-setting': initSettingVerb,
  'keep-speeds': keepSpeedsVerb,
  'put-sealed-keys': putSealedKeysVerb,
  reseal: resealVerb,
} as const satisfies { readonly [K in AccessCommand['verb']]: Verb<Extract<AccessCommand, { verb: K }>, unknown> };
