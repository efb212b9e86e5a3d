-- Bills: one row for each statement, and one for its lines, which lists of statements need not read. Both stand as they were written.
CREATE TABLE statements (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX statements_of_tenant ON statements (tenant_id, id);
CREATE TRIGGER statements_stand BEFORE UPDATE ON statements
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;
CREATE TRIGGER statements_stay BEFORE DELETE ON statements
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

CREATE TABLE statement_lines (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;
CREATE TRIGGER statement_lines_stand BEFORE UPDATE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;
CREATE TRIGGER statement_lines_stay BEFORE DELETE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

-- What the operator corrects; a line of the next statement.
CREATE TABLE bill_corrections (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bill_corrections_of_tenant ON bill_corrections (tenant_id, id);

-- How far the bills of a tenant have come, under the tenant's id.
CREATE TABLE bill_states (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Links to bills that were revoked or renewed, under the bill's id.
CREATE TABLE bill_links (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bill_links_of_tenant ON bill_links (tenant_id, id);
