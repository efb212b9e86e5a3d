import { checkRateLimits } from '../policy/minute-limits.ts';
import type { Upstream } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import { dialectsFault } from '../routing/dialects.ts';
import { enclaveUrlOf, sealedFault } from '../sealed/enclaves.ts';
import { baseUrlFault } from './base-url.ts';
import type { PutUpstreamCommand, UpdateUpstreamCommand } from './commands.ts';
import { headerNamesFault, logsOn } from './upstream-headers.ts';
import { checkText, checkUpstreamId, checkWhole, firstOf, invalid, notFound, type Refusal } from './rules.ts';

function checkUpstream(upstream: Upstream): Refusal | null {
  const { retentionDays, timeoutMs, region, kind, baseUrl, headerNames = [] } = upstream;
  const headersFault = headerNamesFault(headerNames);
  const sealed = upstream.sealed ?? null;
  const fault = kind === 'demo' || sealed !== null ? null : baseUrlFault(baseUrl);
  const speaksFault = upstream.speaks === undefined ? null : dialectsFault(upstream.speaks);
  return firstOf(
    fault === null ? null : invalid('base_url', fault),
    checkText('provider', upstream.provider, 64),
    region === null ? null : checkText('region', region, 64),
    checkWhole('retention_days', retentionDays ?? 0, { min: 0, max: 36_500 }),
    checkWhole('timeout_ms', timeoutMs ?? 100, { min: 100, max: 86_400_000 }),
    headersFault === null ? null : invalid('headers', headersFault),
    headerNames.length > 0 && kind === 'demo' ? invalid('headers', 'not be given for an upstream of kind demo') : null,
    logsOn(headerNames) && upstream.apiKeySealed !== null ? invalid('headers', 'not hold authorization beside an api_key') : null,
    speaksFault === null ? null : invalid('speaks', speaksFault),
    checkRateLimits(upstream.rateLimits),
    checkSealed(upstream),
  );
}

/** A sealed upstream is where its callers say that it is, among its addresses: it has no other. */
function checkSealed({ kind, baseUrl, sealed = null }: Upstream): Refusal | null {
  if (sealed === null) return null;
  if (kind === 'demo') return invalid('sealed', 'not be given for an upstream of kind demo');
  if (baseUrl !== '') return invalid('base_url', 'not be given beside sealed, whose enclave_urls are its addresses');
  const fault = sealedFault(sealed);
  return fault === null ? null : invalid(`sealed.${fault.field}`, fault.rule);
}

function putUpstream(
  command: PutUpstreamCommand | UpdateUpstreamCommand,
  nowMs: number,
  next: { upstream: Upstream; isNew: boolean },
): Decision<Upstream> {
  const { baseUrl, sealed } = next.upstream;
  const upstream: Upstream = {
    ...next.upstream,
    baseUrl: baseUrl.replace(/\/+$/, ''),
    ...(sealed === undefined || sealed === null ? {} : { sealed: { ...sealed, enclaveUrls: sealed.enclaveUrls.map(enclaveUrlOf) } }),
  };
  const bad = checkUpstream(upstream);
  if (bad !== null) return refuse(bad);
  const type = next.isNew ? 'upstream.created' : 'upstream.updated';
  const events = eventEffects(command, nowMs, [{ type, data: { upstream_id: upstream.id } }]);
  return { outcome: accepted(upstream), effects: [{ type: 'record', kind: 'upstream', id: upstream.id, record: upstream }, ...events] };
}

/**
 * Makes an upstream or, with `replace`, makes it so whether it is there or not. The value is the upstream.
 *
 * Rejects, in this order: `invalid_request` (id), `conflict`, `invalid_request` (base_url, provider, region, retention_days, timeout_ms,
 * headers, speaks, rate_limits, sealed).
 */
export const putUpstreamVerb: Verb<PutUpstreamCommand, Upstream> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'upstream', id: command.upstream.id }] }),
  decide: (state, command, nowMs) => {
    const { id } = command.upstream;
    const bad = checkUpstreamId(id);
    if (bad !== null) return refuse(bad);
    const before = state.record('upstream', id);
    if (before !== undefined && !command.replace) {
      return refuse(rejected({ code: 'conflict', message: `the upstream ${id} exists already`, field: 'id' }));
    }
    return putUpstream(command, nowMs, {
      upstream: { ...command.upstream, createdAtMs: before?.createdAtMs ?? nowMs },
      isNew: before === undefined,
    });
  },
};

/**
 * Changes what is given of an upstream. The value is the upstream as it is now.
 *
 * Rejects, in this order: `not_found`, `invalid_request` (as making one does).
 */
export const updateUpstreamVerb: Verb<UpdateUpstreamCommand, Upstream> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'upstream', id: command.upstreamId }] }),
  decide: (state, command, nowMs) => {
    const before = state.record('upstream', command.upstreamId);
    if (before === undefined) return refuse(notFound(`upstream ${command.upstreamId}`));
    return putUpstream(command, nowMs, { upstream: { ...before, ...command.changes }, isNew: false });
  },
};
