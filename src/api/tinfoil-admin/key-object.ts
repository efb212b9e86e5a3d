import type { KeyWithUse } from '../../app/list-keys.ts';
import { metadataText } from '../../core/access/rules.ts';
import { parseJson } from '../../core/json/int64.ts';
import { sealIdentity } from '../../core/records.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../core/rfc3339.ts';
import type { SecretBox } from '../../ports/secret-box.ts';

/**
 * A key as this surface shows it to the member `viewerId`: the newest document's fields, `id`, and the older ones' `clerk_user_id`,
 * `chat` and `is_admin`. In full to its creator where its value is kept, masked to others.
 */
export function keyObject(
  { key, maxTokens, usage }: KeyWithUse,
  options: { readonly viewerId: string; readonly secretBox: SecretBox },
): object {
  const isOwner = key.createdBy === options.viewerId;
  const value = isOwner && key.sealed !== null ? options.secretBox.open(key.sealed, sealIdentity('key', key.id)) : key.mask;
  const inputTokens = usage?.promptTokens ?? 0;
  const outputTokens = usage?.completionTokens ?? 0;
  return {
    id: key.id,
    key: value,
    name: key.name,
    disabled: key.disabled,
    expires_at: formatRfc3339OrNull(key.expiresAtMs),
    max_tokens: maxTokens,
    metadata: typeof key.metadata === 'string' ? parseJson(metadataText(key.metadata)) : key.metadata,
    tokens_used: inputTokens + outputTokens,
    input_tokens_used: inputTokens,
    output_tokens_used: outputTokens,
    request_count: usage?.requests ?? 0,
    is_owner: isOwner,
    created_at: formatRfc3339(key.createdAtMs),
    last_used_at: formatRfc3339OrNull(usage?.lastUsedAtMs ?? null),
    clerk_user_id: key.createdBy,
    chat: false,
    is_admin: false,
  };
}
