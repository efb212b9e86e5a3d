-- Which key a member was the last to make under a name, where names are to be the only ones: of two who ask at once, one is refused.
CREATE TABLE key_names (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);
