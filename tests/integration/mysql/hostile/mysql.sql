-- What only MySQL has.

CREATE TABLE own_types (id int PRIMARY KEY, v vector(3), p point NOT NULL SRID 4326, j json,
  c varchar(99) COLLATE utf8mb4_0900_as_cs, n int, many json,
  KEY hidden (n) INVISIBLE, KEY functional ((n + 1)), KEY of_array ((CAST(many->'$' AS UNSIGNED ARRAY))), SPATIAL KEY (p),
  CONSTRAINT unenforced CHECK (n > 0) NOT ENFORCED)

INSERT INTO own_types VALUES
  (1, TO_VECTOR('[1,-2,3.5]'), ST_GeomFromText('POINT(1 2)', 4326), '{"a": 1}', '🩺', -1, '[1, 2]'),
  (2, NULL, ST_GeomFromText('POINT(-90 180)', 4326), NULL, NULL, NULL, NULL)

CREATE TABLE typed_json (id int PRIMARY KEY, j json)

INSERT INTO typed_json VALUES (1, JSON_ARRAY(1.10, DATE'2026-01-01')), (2, '[1]')

CREATE TABLE sized (id int PRIMARY KEY) AUTOEXTEND_SIZE=4M COMPRESSION='zlib'

CREATE TABLE expressions (a int DEFAULT (1 + 1), b json DEFAULT (JSON_ARRAY()), c blob DEFAULT ('x'), d text DEFAULT ('it''s'))

INSERT INTO expressions VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT), (1, '[2]', x'00', '')
