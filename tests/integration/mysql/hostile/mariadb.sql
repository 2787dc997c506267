-- What only MariaDB has.

CREATE SEQUENCE `num``bers` START WITH 9223372036854775000 INCREMENT BY 7 MINVALUE -5 CACHE 3 CYCLE

CREATE SEQUENCE down START WITH -1 INCREMENT BY -1

DO NEXTVAL(`num``bers`)

CREATE TABLE own_types (id int DEFAULT NEXTVAL(down), u uuid, a inet4, b inet6, z varchar(99) COMPRESSED,
  t text DEFAULT 'it''s', r int AS (id + 1) PERSISTENT, KEY ignored (u) IGNORED)

INSERT INTO own_types (u, a, b, z) VALUES
  ('00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', ''), (NULL, NULL, NULL, NULL),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', '::ffff:10.0.0.1', 'packed')

CREATE TABLE periods (id int, s date, e date, PERIOD FOR validity (s, e), UNIQUE (id, validity WITHOUT OVERLAPS))

INSERT INTO periods VALUES (1, '2026-01-01', '2026-02-01'), (1, '2026-02-01', '9999-12-31')

CREATE TABLE aria (id int PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1

CREATE TABLE packed (id int PRIMARY KEY, t text) PAGE_COMPRESSED=1

INSERT INTO packed VALUES (1, 'x')

CREATE AGGREGATE FUNCTION largest(x int) RETURNS int DETERMINISTIC
BEGIN
  DECLARE found int DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN found;
  LOOP FETCH GROUP NEXT ROW; SET found = GREATEST(found, x); END LOOP;
END

SET sql_mode = 'ORACLE'

CREATE FUNCTION of_oracle(a INT) RETURN INT DETERMINISTIC AS x INT := 1; BEGIN RETURN a || x; END;

SET sql_mode = ''
