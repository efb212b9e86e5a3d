import { expect } from 'vitest';

/** Makes inference keys of the first tenant, with money enough for any test. */
export interface CallerKeys {
  make(key: { readonly name: string; readonly maxTokens?: number }): Promise<string>;
}

/** Makes a {@link CallerKeys} over the control plane at `origin`. */
export function makeControlPlaneKeys(origin: string, credentials: { readonly operatorKey: string; readonly adminKey: string }): CallerKeys {
  return {
    make: async ({ name, maxTokens }) => {
      const answer = await fetch(`${origin}/api/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${credentials.adminKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(maxTokens === undefined ? { name } : { name, max_tokens: maxTokens }),
      });
      expect(answer.status).toBe(200);
      return ((await answer.json()) as { key: string }).key;
    },
  };
}
