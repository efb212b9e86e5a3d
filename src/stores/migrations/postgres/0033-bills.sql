-- Bills: one row for each statement, and one for its lines, which lists of statements need not read. Both stand as they were written.
CREATE TABLE statements (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX statements_of_tenant ON statements (tenant_id, id);

CREATE TABLE statement_lines (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

CREATE FUNCTION refuse_statement_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an issued statement never changes: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER statements_stand BEFORE UPDATE OR DELETE ON statements
  FOR EACH ROW EXECUTE FUNCTION refuse_statement_change();
CREATE TRIGGER statements_no_truncate BEFORE TRUNCATE ON statements
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_statement_change();
CREATE TRIGGER statement_lines_stand BEFORE UPDATE OR DELETE ON statement_lines
  FOR EACH ROW EXECUTE FUNCTION refuse_statement_change();
CREATE TRIGGER statement_lines_no_truncate BEFORE TRUNCATE ON statement_lines
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_statement_change();

-- What the operator corrects; a line of the next statement.
CREATE TABLE bill_corrections (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX bill_corrections_of_tenant ON bill_corrections (tenant_id, id);

-- How far the bills of a tenant have come, under the tenant's id.
CREATE TABLE bill_states (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Links to bills that were revoked or renewed, under the bill's id.
CREATE TABLE bill_links (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX bill_links_of_tenant ON bill_links (tenant_id, id);
