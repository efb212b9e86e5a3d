-- How many tenants there are in each status, and budgets (those that have a limit) in each status and unit: kept by the rows themselves, so
-- that nobody has to count them. Named `tenant ACTIVE` and `budget ACTIVE TOKENS`; the sum over the shards counts. Each writer's connection
-- has a shard, so that none waits for another.
CREATE TABLE tallies (
  name text COLLATE "C",
  shard integer,
  count bigint NOT NULL,
  PRIMARY KEY (name, shard)
);

CREATE FUNCTION tally(counted text, difference bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO tallies VALUES (counted, pg_backend_pid() % 256, difference)
  ON CONFLICT (name, shard) DO UPDATE SET count = tallies.count + excluded.count
$$;

CREATE FUNCTION tally_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM tally('tenant ' || (OLD.body ->> 'status'), -1);
  END IF;
  PERFORM tally('tenant ' || (NEW.body ->> 'status'), 1);
  RETURN NULL;
END
$$;

CREATE FUNCTION tally_budget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.allocated IS NOT NULL THEN
    PERFORM tally('budget ' || OLD.status || ' ' || OLD.unit, -1);
  END IF;
  IF NEW.allocated IS NOT NULL THEN
    PERFORM tally('budget ' || NEW.status || ' ' || NEW.unit, 1);
  END IF;
  RETURN NULL;
END
$$;

-- From here on no row changes until all of it stands, so that none is counted twice, or not at all.
CREATE TRIGGER tally_new_tenant AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION tally_tenant();
CREATE TRIGGER tally_tenant AFTER UPDATE ON tenants FOR EACH ROW
WHEN ((OLD.body ->> 'status') IS DISTINCT FROM (NEW.body ->> 'status')) EXECUTE FUNCTION tally_tenant();
CREATE TRIGGER tally_new_budget AFTER INSERT ON accounts FOR EACH ROW WHEN (NEW.kind = 'budget') EXECUTE FUNCTION tally_budget();
CREATE TRIGGER tally_budget AFTER UPDATE OF status, allocated ON accounts FOR EACH ROW
WHEN (NEW.kind = 'budget' AND (OLD.status <> NEW.status OR (OLD.allocated IS NULL) <> (NEW.allocated IS NULL))) EXECUTE FUNCTION tally_budget();

INSERT INTO tallies SELECT 'tenant ' || (body ->> 'status'), 0, count(*) FROM tenants GROUP BY 1;
INSERT INTO tallies SELECT 'budget ' || status || ' ' || unit, 0, count(*) FROM accounts WHERE kind = 'budget' AND allocated IS NOT NULL GROUP BY 1;
