-- How many tenants there are in each status, and budgets (those that have a limit) in each status and unit: kept by the rows themselves, so
-- that nobody has to count them. Named `tenant ACTIVE` and `budget ACTIVE TOKENS`.
CREATE TABLE tallies (
  name TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tallies SELECT 'tenant ' || json_extract(body, '$.status'), count(*) FROM tenants GROUP BY 1;
INSERT INTO tallies SELECT 'budget ' || status || ' ' || unit, count(*) FROM accounts WHERE kind = 'budget' AND allocated IS NOT NULL GROUP BY 1;

CREATE TRIGGER tally_new_tenant AFTER INSERT ON tenants
BEGIN
  INSERT INTO tallies VALUES ('tenant ' || json_extract(NEW.body, '$.status'), 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tally_tenant AFTER UPDATE OF body ON tenants
WHEN json_extract(OLD.body, '$.status') IS NOT json_extract(NEW.body, '$.status')
BEGIN
  UPDATE tallies SET count = count - 1 WHERE name = 'tenant ' || json_extract(OLD.body, '$.status');
  INSERT INTO tallies VALUES ('tenant ' || json_extract(NEW.body, '$.status'), 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tally_new_budget AFTER INSERT ON accounts WHEN NEW.kind = 'budget' AND NEW.allocated IS NOT NULL
BEGIN
  INSERT INTO tallies VALUES ('budget ' || NEW.status || ' ' || NEW.unit, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tally_budget AFTER UPDATE OF status, allocated ON accounts
WHEN NEW.kind = 'budget' AND (OLD.status <> NEW.status OR (OLD.allocated IS NULL) <> (NEW.allocated IS NULL))
BEGIN
  UPDATE tallies SET count = count - 1 WHERE OLD.allocated IS NOT NULL AND name = 'budget ' || OLD.status || ' ' || OLD.unit;
  INSERT INTO tallies SELECT 'budget ' || NEW.status || ' ' || NEW.unit, 1 WHERE NEW.allocated IS NOT NULL
    ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;
