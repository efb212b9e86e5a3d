/** The host, key and key values that the published requests stand with; a test puts its own in their place. */
export const SEED_WORDS = {
  origin: 'https://api.tinfoil.sh',
  adminKey: 'YOUR_ADMIN_KEY',
  keys: ['tk_your_full_key_value_here', 'tk_abc123...', 'tk_abc123'],
  dates: ['2026-12-31T23:59:59Z', '2024-12-31T23:59:59Z'],
} as const;

/** Which of the published versions of the Admin API's documentation a request is from. */
export type Seed = 'newest' | 'earlier' | 'oldest';

/** One published request, by what it does, as it stands in the document. */
export interface SeedRequest {
  readonly seed: Seed;
  readonly does:
    | 'list'
    | 'create'
    | 'create-for-user'
    | 'update'
    | 'rename'
    | 'delete'
    | 'usage'
    | 'usage-by-key'
    | 'time-series'
    | 'transactions';
  readonly curl: string;
}

/** Every request for keys and billing that the documents print in full. */
export const SEED_REQUESTS: readonly SeedRequest[] = [
  {
    seed: 'newest',
    does: 'list',
    curl: String.raw`curl "https://api.tinfoil.sh/api/keys"   -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'newest',
    does: 'create',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/keys   -H "Authorization: Bearer YOUR_ADMIN_KEY"   -H "Content-Type: application/json"   -d '{
    "name": "Production API Key",
    "expires_at": "2026-12-31T23:59:59Z",
    "max_tokens": 1000000,
    "metadata": {
      "environment": "production",
      "team": "backend"
    }
  }'`,
  },
  {
    seed: 'newest',
    does: 'update',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/keys/update   -H "Authorization: Bearer YOUR_ADMIN_KEY"   -H "Content-Type: application/json"   -d '{
    "key": "tk_your_full_key_value_here",
    "name": "Staging API Key",
    "max_tokens": 0
  }'`,
  },
  {
    seed: 'newest',
    does: 'usage',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/usage?time=7d"   -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'newest',
    does: 'usage-by-key',
    curl: String.raw`curl -X POST "https://api.tinfoil.sh/api/billing/usage/key?time=7d"   -H "Authorization: Bearer YOUR_ADMIN_KEY"   -H "Content-Type: application/json"   -d '{"key": "tk_your_full_key_value_here"}'`,
  },
  {
    seed: 'newest',
    does: 'time-series',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/time-series?time=24h"   -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'newest',
    does: 'transactions',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/transactions"   -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'newest',
    does: 'delete',
    curl: String.raw`curl -X DELETE https://api.tinfoil.sh/api/keys/tk_your_full_key_value_here   -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'earlier',
    does: 'create',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/keys \
  -H "Authorization: Bearer YOUR_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Production API Key",
    "expires_at": "2024-12-31T23:59:59Z",
    "max_tokens": 1000000,
    "metadata": {
      "environment": "production",
      "team": "backend"
    }
  }'`,
  },
  {
    seed: 'earlier',
    does: 'rename',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/keys/rename \
  -H "Authorization: Bearer YOUR_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "key": "tk_abc123...",
    "name": "Staging API Key"
  }'`,
  },
  {
    seed: 'earlier',
    does: 'create-for-user',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/keys \
  -H "Authorization: Bearer YOUR_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "User: [email protected]",
    "metadata": {
      "internal_user_id": "usr_12345",
      "email": "[email protected]"
    }
  }'`,
  },
  {
    seed: 'earlier',
    does: 'usage-by-key',
    curl: String.raw`curl -X POST https://api.tinfoil.sh/api/billing/usage/key \
  -H "Authorization: Bearer YOUR_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{"key": "tk_abc123..."}'`,
  },
  {
    seed: 'earlier',
    does: 'usage',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/usage?time=7d" \
  -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'earlier',
    does: 'usage-by-key',
    curl: String.raw`curl -X POST "https://api.tinfoil.sh/api/billing/usage/key?time=7d" \
  -H "Authorization: Bearer YOUR_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{"key": "tk_abc123..."}'`,
  },
  {
    seed: 'earlier',
    does: 'time-series',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/time-series?time=24h" \
  -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'earlier',
    does: 'transactions',
    curl: String.raw`curl "https://api.tinfoil.sh/api/billing/transactions" \
  -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
  {
    seed: 'earlier',
    does: 'delete',
    curl: String.raw`curl -X DELETE https://api.tinfoil.sh/api/keys/tk_abc123 \
  -H "Authorization: Bearer YOUR_ADMIN_KEY"`,
  },
];

/** The request lines of the oldest document, which prints no bodies: its fields are described in words, and are the others' fields. */
export const OLDEST_LINES = [
  'GET /api/keys',
  'POST /api/keys',
  'POST /api/keys/rename',
  'GET /api/billing/usage',
  'GET /api/billing/time-series',
  'GET /api/billing/transactions',
  'DELETE /api/keys/:key',
] as const;

/** Windows that every document but the earlier one lists for usage. */
export const SEED_WINDOWS = ['5m', '15m', '30m', '1h', '24h', '7d', '30d', '60d', '90d'] as const;

/** Length of a window's series, in points, and the interval as the documents write it. */
export const SEED_SERIES: Readonly<Record<(typeof SEED_WINDOWS)[number], { readonly points: number; readonly interval: string }>> = {
  '5m': { points: 60, interval: '5s' },
  '15m': { points: 60, interval: '15s' },
  '30m': { points: 60, interval: '30s' },
  '1h': { points: 60, interval: '1m0s' },
  '24h': { points: 96, interval: '15m0s' },
  '7d': { points: 84, interval: '2h0m0s' },
  '30d': { points: 90, interval: '8h0m0s' },
  '60d': { points: 60, interval: '24h0m0s' },
  '90d': { points: 90, interval: '24h0m0s' },
};
