import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { checkRepo } from '../../core/containers/release-names.ts';
import type { ReleaseHook, ReleaseHooks } from '../../ports/release-source.ts';

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });
const EVENT = /^[a-z_]{1,64}$/;
const SIGNATURE = /^sha256=([0-9a-f]{64})$/;
const OWNER_LOGIN = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$/;

/** Actions on a release after which another tag may be the one to run. */
const RELEASE_ACTIONS = new Set(['published', 'released', 'prereleased', 'edited', 'unpublished', 'deleted']);
const INSTALLATION_EVENTS = new Set(['installation', 'installation_repositories']);

type Payload = { readonly [name: string]: unknown };

const objectOf = (value: unknown): Payload => (typeof value === 'object' && value !== null ? (value as Payload) : {});

/** The latest of the times that are there. */
function latest(...times: readonly unknown[]): number | null {
  const known = times.flatMap((time) => (typeof time === 'string' && Number.isFinite(Date.parse(time)) ? [Date.parse(time)] : []));
  return known.length === 0 ? null : Math.max(...known);
}

/** Whether a signature in GitHub's form is that of one of the secrets, in a time that tells nothing about where it differs. */
function isSigned(secrets: readonly string[], body: Uint8Array, signature: string): boolean {
  const [, hex] = SIGNATURE.exec(signature) ?? [];
  if (hex === undefined) return false;
  const given = Buffer.from(hex, 'hex');
  let isGood = false;
  for (const secret of secrets) if (timingSafeEqual(given, createHmac('sha256', secret).update(body).digest())) isGood = true;
  return isGood;
}

function parse(body: Uint8Array): Payload | null {
  try {
    const value: unknown = JSON.parse(STRICT_UTF8.decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Payload) : null;
  } catch {
    return null;
  }
}

/**
 * Makes what reads webhooks of GitHub. A delivery's id is not signed, so that its digest is that of the signed bytes. Of what a webhook says, only the name of
 * a repository or an owner is taken: what there is to deploy is asked of GitHub itself. Source: GitHub, "Validating webhook deliveries" and "Webhook events and payloads".
 */
export function makeGithubHooks({ secrets }: { readonly secrets: readonly string[] }): ReleaseHooks {
  return {
    read: ({ event, signature, body }): ReleaseHook => {
      if (!isSigned(secrets, body, signature)) return { kind: 'unsigned' };
      if (!EVENT.test(event)) return { kind: 'malformed', rule: 'the header X-GitHub-Event must be the name of an event' };
      const payload = parse(body);
      if (payload === null)
        return { kind: 'malformed', rule: 'the body must be a JSON object: set the content type of the webhook to application/json' };
      const digest = createHash('sha256').update(body).digest('hex');
      if (event === 'release') {
        if (!RELEASE_ACTIONS.has(String(payload['action']))) return { kind: 'other' };
        const repo = objectOf(payload['repository'])['full_name'];
        if (typeof repo !== 'string' || checkRepo(repo) !== null)
          return { kind: 'malformed', rule: 'repository.full_name must be the name of a repository' };
        const release = objectOf(payload['release']);
        const atMs = latest(release['updated_at'], release['published_at'], release['created_at']);
        return { kind: 'news', owner: repo.split('/', 1)[0] ?? '', repo, digest, atMs };
      }
      if (!INSTALLATION_EVENTS.has(event)) return { kind: 'other' };
      const installation = objectOf(payload['installation']);
      const owner = objectOf(installation['account'])['login'];
      if (typeof owner !== 'string' || !OWNER_LOGIN.test(owner))
        return { kind: 'malformed', rule: 'installation.account.login must be the name of an owner' };
      return { kind: 'news', owner, repo: null, digest, atMs: latest(installation['updated_at'], installation['created_at']) };
    },
  };
}
