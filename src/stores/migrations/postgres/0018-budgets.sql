-- no transaction
-- How much of a budget is spent, in whole percent rounded up, which lists sort and narrow by: a commit changes it at most once for each
-- percent, so that most commits touch no index. NULL for other accounts, and for budgets that were last written by a release that did
-- not know it.
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS used_percent bigint;

-- The names of a tenant's policies, each once. The id is `tenant/name`.
CREATE TABLE IF NOT EXISTS policy_names (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Lists of budgets, those that have a limit, in each order that they can be asked for. A build that was broken off leaves an index that is of
-- no use, so each starts anew.
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_tenant;
CREATE INDEX CONCURRENTLY budgets_by_tenant ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_scope;
CREATE INDEX CONCURRENTLY budgets_by_scope ON accounts (scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_unit;
CREATE INDEX CONCURRENTLY budgets_by_unit ON accounts (unit, tenant_id, scope) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_status;
CREATE INDEX CONCURRENTLY budgets_by_status ON accounts (status, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_policy;
CREATE INDEX CONCURRENTLY budgets_by_policy ON accounts (coalesce(overage_policy, ''), tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_debt;
CREATE INDEX CONCURRENTLY budgets_by_debt ON accounts (debt, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_use;
CREATE INDEX CONCURRENTLY budgets_by_use ON accounts (used_percent, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;
-- Those in trouble, which are few.
DROP INDEX CONCURRENTLY IF EXISTS budgets_owing;
CREATE INDEX CONCURRENTLY budgets_owing ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL AND debt > 0;
DROP INDEX CONCURRENTLY IF EXISTS budgets_over_limit;
CREATE INDEX CONCURRENTLY budgets_over_limit ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL AND is_over_limit;
-- Those whose period will end, by when.
DROP INDEX CONCURRENTLY IF EXISTS budgets_by_period;
CREATE INDEX CONCURRENTLY budgets_by_period ON accounts (((terms ->> 'periodEndMs')::bigint)) WHERE terms IS NOT NULL AND status <> 'CLOSED';
