import { headersIdentity, sealIdentity, type Upstream } from '../../core/records.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { UpstreamClient } from '../../ports/upstream.ts';
import type { OpenUpstream, UpstreamHeaders } from './call-types.ts';

/** The connections to all upstreams. */
export interface UpstreamPool {
  /**
   * The connection for this record of an upstream; made at its first use, made anew when the record has changed. `enclaveUrl` is the one of
   * its addresses that a sealed call goes to.
   */
  open(upstream: Upstream, enclaveUrl?: string): OpenUpstream;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** How long requests on a replaced connection may go on before it is closed under them. */
const REPLACED_LINGER_MS = 15 * 60_000;

/**
 * Makes an {@link UpstreamPool}. `makeClient` makes the adapter for an upstream's kind with the opened credential and headers.
 *
 * A changed record gets a connection of its own at once; the one before it is closed when its last request must have ended.
 */
export function makeUpstreamPool(deps: {
  readonly secretBox: SecretBox;
  readonly makeClient: (upstream: Upstream, apiKey: string | null, headers: UpstreamHeaders) => UpstreamClient;
}): UpstreamPool {
  const open = new Map<string, { readonly upstream: Upstream; readonly opened: string; readonly connection: OpenUpstream }>();
  const replaced = new Set<{ readonly client: UpstreamClient; readonly timer: NodeJS.Timeout }>();

  const replace = (client: UpstreamClient): void => {
    const entry = {
      client,
      timer: setTimeout(() => {
        replaced.delete(entry);
        void client.close();
      }, REPLACED_LINGER_MS).unref(),
    };
    replaced.add(entry);
  };

  return {
    open: (upstream, enclaveUrl) => {
      const place = enclaveUrl === undefined ? upstream.id : `${upstream.id} ${enclaveUrl}`;
      const known = open.get(place);
      if (known?.upstream === upstream) return known.connection;
      // A cache that was read again brings equal records as new objects; these keep their connections.
      if (known !== undefined && isSameServer(known.upstream, upstream)) {
        open.set(place, { ...known, upstream });
        return known.connection;
      }
      const apiKey =
        upstream.apiKeySealed === null ? null : deps.secretBox.open(upstream.apiKeySealed, sealIdentity('upstream', upstream.id));
      const headers = openHeaders(deps.secretBox, upstream);
      const opened = JSON.stringify([apiKey, headers]);
      // Sealed anew, with another master key, it is the same server; calls with the record from before go the same way.
      if (known?.opened === opened && isSameServer({ ...known.upstream, ...sealedTexts(upstream) }, upstream)) {
        open.set(place, { ...known, upstream });
        return known.connection;
      }
      const at = enclaveUrl === undefined ? upstream : { ...upstream, baseUrl: enclaveUrl };
      const connection = { client: deps.makeClient(at, apiKey, headers), secrets: secretsOf(at, apiKey, headers) };
      open.set(place, { upstream, opened, connection });
      if (known !== undefined) replace(known.connection.client);
      return connection;
    },
    close: async () => {
      for (const { timer } of replaced) clearTimeout(timer);
      const clients = [...replaced].map(({ client }) => client).concat([...open.values()].map(({ connection }) => connection.client));
      replaced.clear();
      open.clear();
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

const sealedTexts = ({ apiKeySealed, headersSealed = null }: Upstream): Pick<Upstream, 'apiKeySealed' | 'headersSealed'> => ({
  apiKeySealed,
  headersSealed,
});

/** Whether two records of an upstream mean the same server, reached in the same way. */
export const isSameServer = (a: Upstream, b: Upstream): boolean =>
  a.kind === b.kind &&
  a.baseUrl === b.baseUrl &&
  a.apiKeySealed === b.apiKeySealed &&
  (a.headersSealed ?? null) === (b.headersSealed ?? null) &&
  a.createdAtMs === b.createdAtMs;

/** The headers that go with every request to an upstream. */
function openHeaders(secretBox: SecretBox, { id, headersSealed = null }: Upstream): UpstreamHeaders {
  // We sealed what we wrote ourselves: an object of names and values.
  return headersSealed === null ? {} : (JSON.parse(secretBox.open(headersSealed, headersIdentity(id))) as UpstreamHeaders);
}

/** What no caller may read in an error that came from this upstream. */
function secretsOf(upstream: Upstream, apiKey: string | null, headers: UpstreamHeaders): string[] {
  const secrets = [...(apiKey === null ? [] : [apiKey]), ...Object.values(headers)];
  if (!URL.canParse(upstream.baseUrl)) return secrets;
  const { host, hostname } = new URL(upstream.baseUrl);
  return [...secrets, host, hostname];
}
