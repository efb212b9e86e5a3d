-- The signature of where a chain begins once older rows were forgotten; NULL where nobody vouches for it.
ALTER TABLE audit_heads ADD COLUMN pruned_mac TEXT;
