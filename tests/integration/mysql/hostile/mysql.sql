-- What only MySQL has.

CREATE TABLE own_types (id int PRIMARY KEY, v vector(3), p point NOT NULL SRID 4326, j json,
  c varchar(99) COLLATE utf8mb4_0900_as_cs, n int, many json,
  KEY hidden (n) INVISIBLE, KEY functional ((n + 1)), KEY of_array ((CAST(many->'$' AS UNSIGNED ARRAY))), SPATIAL KEY (p),
  CONSTRAINT unenforced CHECK (n > 0) NOT ENFORCED)

INSERT INTO own_types VALUES
  (1, TO_VECTOR('[1,-2,3.5]'), ST_GeomFromText('POINT(1 2)', 4326), '{"a": 1}', '🩺', -1, '[1, 2]'),
  (2, NULL, ST_GeomFromText('POINT(-90 180)', 4326), NULL, NULL, NULL, NULL)

CREATE TABLE typed_json (id int PRIMARY KEY, j json)

INSERT INTO typed_json VALUES (1, JSON_ARRAY(1.10, DATE'2026-01-01')), (2, '[1]'), (3, NULL)

CREATE TABLE sized (id int PRIMARY KEY) AUTOEXTEND_SIZE=4M COMPRESSION='zlib'

CREATE TABLE expressions (a int DEFAULT (1 + 1), b json DEFAULT (JSON_ARRAY()), c blob DEFAULT ('x'), d text DEFAULT ('it''s'))

INSERT INTO expressions VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT), (1, '[2]', x'00', ''), (NULL, NULL, NULL, NULL)

CREATE TABLE vectors (id int PRIMARY KEY, v vector(3) NOT NULL COMMENT 'it''s', w vector, wide vector(16383))

INSERT INTO vectors VALUES
  (1, TO_VECTOR('[1, -2, 3.5]'), TO_VECTOR('[3.4e38]'), TO_VECTOR(CONCAT('[0', REPEAT(', -1e-30', 16382), ']'))), (2, TO_VECTOR('[0, 0, 0]'), NULL, NULL)

CREATE TABLE places (id int PRIMARY KEY, flat point NOT NULL SRID 0, round geometry SRID 4326, old linestring, ring polygon NOT NULL SRID 4326,
  SPATIAL KEY (flat), SPATIAL KEY `ring ☎` (ring))

INSERT INTO places VALUES
  (1, POINT(1, 2), ST_GeomFromText('POINT(-89.999 179.999)', 4326), ST_GeomFromText('LINESTRING(0 0, 1 1)'),
   ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))', 4326)),
  (2, POINT(-1e300, 0), NULL, NULL, ST_GeomFromText('POLYGON((10 10, 10 20, 20 20, 10 10))', 4326))

CREATE TABLE `kinds of keys` (id int PRIMARY KEY, a varchar(99), j json, n int GENERATED ALWAYS AS (j->'$.n') VIRTUAL,
  s varchar(9) GENERATED ALWAYS AS (j->>'$."it''s; \\\\"') STORED INVISIBLE, hidden int DEFAULT (LENGTH('☎')) INVISIBLE COMMENT 'INVISIBLE',
  KEY `expression ☎` ((CONCAT(a, 'it''s; \\ ☎')), (id + 1) DESC), KEY ((LOWER(a))), KEY mixed ((CAST(j->'$.tags' AS CHAR(9) ARRAY)), a),
  KEY dates ((CAST(j->'$.dates' AS DATE ARRAY))), UNIQUE KEY decimals ((CAST(j->'$.d' AS DECIMAL(9,2) ARRAY))), KEY (n), KEY (s DESC) INVISIBLE,
  FULLTEXT KEY grams (a) WITH PARSER ngram,
  CONSTRAINT `must; be` CHECK (JSON_SCHEMA_VALID('{"type": "object"}', j)), CONSTRAINT `may be; not` CHECK (id > 5 AND a <> 'x''\\') NOT ENFORCED)

INSERT INTO `kinds of keys` (id, a, j) VALUES
  (1, 'a', '{"n": 1, "tags": ["x", "☎"], "it''s; \\\\": "y", "dates": ["2026-03-29"], "d": [1.10, -2]}'), (2, NULL, NULL)

UPDATE `kinds of keys` SET hidden = NULL WHERE id = 2

CREATE TABLE `checked columns` (a int CHECK (a > 0), b varchar(9) DEFAULT (UUID_TO_BIN('00000000-0000-0000-0000-000000000000')) CHECK (b <> ''),
  c point DEFAULT (POINT(1, 2)), d date DEFAULT (CURRENT_DATE + INTERVAL 1 DAY), s bigint unsigned NOT NULL UNIQUE DEFAULT 1)

INSERT INTO `checked columns` VALUES (1, 'x', POINT(1, 1), '2026-01-01', 1), (NULL, NULL, NULL, NULL, 2)

CREATE TABLE archived (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, t text) ENGINE=ARCHIVE

INSERT INTO archived VALUES (1, 'it''s'), (2, NULL)

CREATE TABLE `black hole` (id int, KEY (id)) ENGINE=BLACKHOLE

CREATE TABLE spaces (a int COLUMN_FORMAT DYNAMIC, b int COLUMN_FORMAT FIXED STORAGE DISK) TABLESPACE innodb_file_per_table

INSERT INTO spaces VALUES (NULL, NULL)

CREATE TABLE `secondary engine` (a int, b int NOT SECONDARY) SECONDARY_ENGINE=rapid

INSERT INTO `secondary engine` VALUES (NULL, NULL)

CREATE TABLE `modern collations` (a varchar(9) COLLATE utf8mb4_0900_bin, b varchar(9) COLLATE utf8mb4_ja_0900_as_cs_ks, c char(9) CHARACTER SET gb18030,
  d varchar(9) COLLATE utf8mb4_zh_0900_as_cs) COLLATE utf8mb4_de_pb_0900_as_cs

INSERT INTO `modern collations` VALUES ('🩺', 'カ', '中', '中'), (NULL, NULL, NULL, NULL)

CREATE VIEW `of tables` AS SELECT j.n, j.t, l.z FROM own_types,
  JSON_TABLE('[{"n": 1, "t": "it''s"}]', '$[*]' COLUMNS (o FOR ORDINALITY, n int PATH '$.n', t varchar(9) PATH '$.t' DEFAULT '"☎"' ON EMPTY)) AS j,
  LATERAL (SELECT own_types.id + 1 AS z) AS l WHERE 1 MEMBER OF (own_types.many) OR j.t REGEXP '\\d' GROUP BY j.n, j.t, l.z WITH ROLLUP

CREATE JSON DUALITY VIEW `dual ``.☎` AS SELECT JSON_DUALITY_OBJECT(WITH(INSERT, UPDATE, DELETE) '_id': id, 'n''s; \\"': n) FROM watched

CREATE ALGORITHM=MERGE SQL SECURITY INVOKER JSON RELATIONAL DUALITY VIEW `dual, below` AS SELECT JSON_DUALITY_OBJECT('_id': id, 'children':
  (SELECT JSON_ARRAYAGG(JSON_DUALITY_OBJECT('child': children.id, 'r': r)) FROM children WHERE children.c = parents.id)) FROM parents

CREATE PROCEDURE `own types`(a vector(3), b point, INOUT c json) READS SQL DATA BEGIN SELECT c->>'$.a' INTO @x; TABLE own_types LIMIT 0; VALUES ROW(1); END

CREATE EVENT `elsewhere` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE ON REPLICA DO SET @x = 1
