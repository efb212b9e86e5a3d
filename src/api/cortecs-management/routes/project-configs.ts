import type { makeSetProjectSettings } from '../../../app/manage/set-project-settings.ts';
import { projectSettingsOf } from '../../../core/access/decide-project-settings.ts';
import type { Tenant } from '../../../core/records.ts';
import { parseRfc3339 } from '../../../core/rfc3339.ts';
import { projectConfigId } from '../../../core/routing/config-id.ts';
import { inferenceObject, parseInferenceConfig, projectInference } from '../../../core/routing/settings.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { managerOf, ownerOf } from '../principal.ts';
import { ProjectConfigBody } from '../schemas.ts';

/** Moments are ISO 8601 here, always with milliseconds, as the document prints them. */
const isoOf = (ms: number): string => new Date(ms).toISOString();

function configObject(tenant: Tenant): object {
  const settings = projectSettingsOf(tenant);
  return {
    _id: projectConfigId(tenant),
    project_id: tenant.id,
    inference_config: inferenceObject(projectInference(settings)),
    allow_overwrite: settings.allowOverwrite,
    created_at: isoOf(settings.createdAtMs),
    updated_at: isoOf(settings.updatedAtMs),
  };
}

/** A moment that is asked for and sets nothing. */
function refuseBadMoment(field: string, text: string): void {
  if (parseRfc3339(text) !== null) return;
  const message = `${field} must be an RFC 3339 timestamp such as 2025-09-25T08:29:50.735Z`;
  throw new RefusedRequest({ code: 'invalid_request', message, field });
}

/** `{prefix}/project-configs`: what holds for the calls of the tenant whom the management key belongs to. */
export function mountProjectConfigs(
  app: TypedApp,
  prefix: string,
  deps: { setProjectSettings: ReturnType<typeof makeSetProjectSettings> },
): void {
  const path = `${prefix}/project-configs`;
  app.get(path, async (request) => {
    refuseUnknownQuery(request, []);
    return configObject(request.manager.tenant);
  });
  app.put(path, { schema: { body: ProjectConfigBody } }, async (request) => {
    refuseUnknownQuery(request, []);
    const { created_at: createdAt, updated_at: updatedAt, allow_overwrite: allowOverwrite, inference_config: config } = request.body;
    refuseBadMoment('created_at', createdAt);
    refuseBadMoment('updated_at', updatedAt);
    const inference = config === undefined || config === null ? undefined : valueOf(parseInferenceConfig(config));
    const { tenantId, memberId } = ownerOf(request);
    const outcome = await deps.setProjectSettings(managerOf(request), {
      tenantId,
      memberId,
      ...(allowOverwrite === undefined || allowOverwrite === null ? {} : { allowOverwrite }),
      ...(inference === undefined ? {} : { inference }),
    });
    valueOf(outcome);
    return { success: true };
  });
}
