/** Kinds of thing that the configuration file may declare. `member` ids are `tenantId/memberId`; a `price`'s id is `modelId` or `modelId@upstreamId`, an `exchange-rate`'s its currency. */
export type DeclaredKind = 'tenant' | 'member' | 'key' | 'upstream' | 'model' | 'price' | 'exchange-rate' | 'usage-reporter';

/** What the configuration file has the last word on. */
export interface DeclaredFields {
  /**
   * The path of the file that declares `field` of the thing `kind` `id`, or null where the API may change it.
   *
   * `field` is the name that file and operator API share, in snake case, such as `base_url`, `money_budget_usd` or
   * `entitlements.token_billing`. The field `id` stands for the thing itself: declared things cannot be deleted.
   */
  isDeclared(kind: DeclaredKind, id: string, field: string): string | null;
}
