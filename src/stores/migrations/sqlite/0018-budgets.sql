-- How much of a budget is spent, in whole percent rounded up, which lists sort and narrow by: a commit changes it at most once for each
-- percent. NULL for other accounts, and for budgets that were last written by a release that did not know it.
ALTER TABLE accounts ADD COLUMN used_percent INTEGER;

-- Lists of budgets, those that have a limit, in each order that they can be asked for.
CREATE INDEX budgets_by_tenant ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_scope ON accounts (scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_unit ON accounts (unit, tenant_id, scope) WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_status ON accounts (status, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_policy ON accounts (coalesce(overage_policy, ''), tenant_id, scope, unit)
  WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_debt ON accounts (debt, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
CREATE INDEX budgets_by_use ON accounts (used_percent, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
-- Those in trouble, which are few.
CREATE INDEX budgets_owing ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL AND debt > 0;
CREATE INDEX budgets_over_limit ON accounts (tenant_id, scope, unit)
  WHERE kind = 'budget' AND allocated IS NOT NULL AND is_over_limit = 1;
-- Those whose period will end, by when.
CREATE INDEX budgets_by_period ON accounts (terms ->> 'periodEndMs') WHERE terms IS NOT NULL AND status <> 'CLOSED';

-- The names of a tenant's policies, each once. The id is `tenant/name`.
CREATE TABLE policy_names (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
