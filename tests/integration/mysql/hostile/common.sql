-- What every server takes. Statements are separated by bare lines; SQL mode is bare, time zone UTC.

CREATE TABLE numbers (
  id int PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned, m mediumint,
  mu mediumint unsigned, i int, iu int(9) unsigned zerofill, b bigint, bu bigint unsigned, d decimal(65,0),
  p decimal(65,30), f float, g double, one bit(1), bits bit(64), y year, yes boolean)

INSERT INTO numbers VALUES
  (1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, REPEAT('-9', 1), -0.000000000000000000000000000001,
   -3.40282e38, -1.7976931348623157e308, b'0', 0, 1901, 0),
  (2, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615,
   REPEAT('9', 65), 99999999999999999999999999999999999.999999999999999999999999999999,
   3.40282e38, 1.7976931348623157e308, b'1', 18446744073709551615, 2155, 1),
  (3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'0', 0, 0, 0),
  (4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.17549e-38, 2.2250738585072014e-308, 1, 1, 1999, 1),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE `negative zero` (id int PRIMARY KEY, f float, g double)

INSERT INTO `negative zero` VALUES (1, -0e0, -0e0), (2, 0, 0), (3, 16777216, 1/3e0)

CREATE TABLE times (
  id int PRIMARY KEY, d date, t time, t6 time(6), dt datetime, dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL)

INSERT INTO times VALUES
  (1, '0000-00-00', '-838:59:59', '-838:59:59.000000', '0000-00-00', '0000-00-00', '0000-00-00', '0000-00-00'),
  (2, '0000-01-01', '838:59:59', '838:59:59.000000', '0000-01-01', '0000-01-01', '1970-01-01 00:00:01', '1970-01-01 00:00:01'),
  (3, '9999-12-31', '-00:00:01', '-00:00:00.000001', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999999',
   '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999'),
  (4, '2026-00-00', '24:00:00', '00:00:00', '2026-02-00', '1582-10-10', '2026-03-29 00:59:59', '2026-03-29 01:00:00'),
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

SET time_zone = '+02:00'

INSERT INTO times (id, ts) VALUES (6, '2026-10-25 02:30:00')

SET time_zone = '+01:00'

INSERT INTO times (id, ts) VALUES (7, '2026-10-25 02:30:00')

SET time_zone = '+00:00'

CREATE TABLE texts (
  id int PRIMARY KEY, c char(9), v varchar(99), l varchar(99) CHARACTER SET latin1 COLLATE latin1_german1_ci,
  a varchar(99) CHARACTER SET ascii, u2 varchar(99) CHARACTER SET ucs2, u16 varchar(99) CHARACTER SET utf16,
  u32 varchar(99) CHARACTER SET utf32, k varchar(99) CHARACTER SET gbk, j varchar(99) CHARACTER SET cp932,
  tt tinytext, t text, mt mediumtext CHARACTER SET latin1, lt longtext,
  e enum('', 'a', 'it''s', 'c,d', 'ß') CHARACTER SET latin1, s set('x', 'y', 'z '))

INSERT INTO texts VALUES
  (1, '', '', '', '', '', '', '', '', '', '', '', '', '', '', ''),
  (2, 'a ', 'a ', 'é€ÿ', '~', '中', '🩺', '🩺', '中', '日', '\\', '''', '"', '`;\n-- x\r\n\0\Z', 'it''s', 'x,z'),
  (3, 'NULL', 'NULL', 'ä', 'NULL', 'ß', 'e\u0301', '\t', '号', 'ｱ', '%', '_', '?', REPEAT('🩺', 20000), 'ß', 'x,y'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE bytes (
  id int PRIMARY KEY, b binary(4), v varbinary(99), bin varchar(99) CHARACTER SET binary, tb tinyblob, bl blob,
  mb mediumblob, lb longblob, KEY (bl(9)))

INSERT INTO bytes VALUES
  (1, x'00', x'', x'', x'', x'', x'', x''),
  (2, x'ff27225c', x'00275c220a0d1a', x'e282', x'00', x'ff', x'27', REPEAT(x'00ff', 40000)),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE shapes (
  id int PRIMARY KEY, g geometry, p point NOT NULL, l linestring, y polygon, mp multipoint, ml multilinestring,
  my multipolygon, gc geometrycollection)

INSERT INTO shapes VALUES
  (1, POINT(-180, 90), POINT(0, 0), ST_GeomFromText('LINESTRING(0 0, 1 1)'), ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))'),
   ST_GeomFromText('MULTIPOINT(1 1, 2 2)'), ST_GeomFromText('MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'),
   ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')),
  (2, NULL, POINT(0.1, -0.1), NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE documents (id int PRIMARY KEY, j json)

INSERT INTO documents VALUES
  (1, '{"every \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000 \\u263a \\ud83e\\ude7a": [null, true, false, 0, -1, 1.5, 1e300, "", {}, []]}'),
  (2, '"null"'), (3, 'null'), (4, NULL), (5, '[18446744073709551615, -9223372036854775808]')

CREATE TABLE `16 MB` (id int PRIMARY KEY, b longblob, t longtext)

INSERT INTO `16 MB` VALUES (1, REPEAT(x'00275c', 5700000), REPEAT('it''s \\', 2900000)), (2, NULL, NULL)

CREATE TABLE `select` (`from` int, `group``by` int, `a.b` int, ` c` int, `☎` int, `"` int, `-- x` int, `/*` int, `%s` int)

INSERT INTO `select` VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 5, 6, 7, 8, 9), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE `a``b.c``; DROP TABLE x; -- ❤` (id int PRIMARY KEY) COMMENT 'it''s `a`; -- "\\" ☎ AUTO_INCREMENT=5 ENGINE=x'

INSERT INTO `a``b.c``; DROP TABLE x; -- ❤` VALUES (1)

CREATE TABLE `every attribute` (
  id bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'PRIMARY KEY, AUTO_INCREMENT=1',
  d varchar(20) NOT NULL DEFAULT 'it''s; \\ `x`', n int DEFAULT NULL, e varchar(36) DEFAULT (CONCAT('a', 'b')),
  now datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), hidden int DEFAULT 7 INVISIBLE,
  v int GENERATED ALWAYS AS (n + 1) VIRTUAL, st varchar(9) GENERATED ALWAYS AS (LEFT(d, 3)) STORED,
  CONSTRAINT `positive; n` CHECK (n > 0 OR n IS NULL), PRIMARY KEY (id), UNIQUE KEY `u``k` (d, n), KEY down (n DESC),
  KEY prefix (d(3)) COMMENT 'it''s', FULLTEXT KEY words (d), KEY of_generated (st))
  AUTO_INCREMENT=4000000000 CHARACTER SET latin1 COLLATE latin1_swedish_ci ROW_FORMAT=COMPRESSED STATS_PERSISTENT=0

INSERT INTO `every attribute` (d, n, now, hidden) VALUES ('a', 1, '2026-01-01', 8), ('b', NULL, '2026-01-01', NULL)

CREATE TABLE child (id int PRIMARY KEY, parent bigint unsigned, me int,
  CONSTRAINT `to; parent` FOREIGN KEY (parent) REFERENCES `every attribute` (id) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT `to me` FOREIGN KEY (me) REFERENCES child (id))

INSERT INTO child VALUES (1, 4000000000, 1), (2, NULL, 1)

CREATE TABLE parted (id int NOT NULL, d date NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE (YEAR(d))
  SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION `p``1` VALUES LESS THAN (2000) COMMENT 'it''s', PARTITION `rest` VALUES LESS THAN MAXVALUE)

INSERT INTO parted VALUES (1, '1999-12-31'), (1, '2000-01-01'), (2, '0000-00-00')

CREATE TABLE `my isam` (a int, b text, FULLTEXT KEY (b)) ENGINE=MyISAM

INSERT INTO `my isam` VALUES (1, 'x'), (1, 'x')

CREATE TABLE bare (id int)

CREATE VIEW `z first` AS SELECT id, '; -- ☎ \\' AS `it's`, _latin1 x'e9' AS e FROM texts WHERE v = 'a'

CREATE ALGORITHM=TEMPTABLE SQL SECURITY INVOKER VIEW `a last` AS SELECT COUNT(*) AS n FROM `z first`

CREATE VIEW checked AS SELECT id FROM numbers WHERE id > 0 WITH LOCAL CHECK OPTION

CREATE TRIGGER `t``2` BEFORE INSERT ON bare FOR EACH ROW SET NEW.id = NEW.id + 1

CREATE TRIGGER `a first` BEFORE INSERT ON bare FOR EACH ROW PRECEDES `t``2` SET NEW.id = NEW.id * 2

CREATE TRIGGER `select` AFTER DELETE ON `select` FOR EACH ROW BEGIN DECLARE x text DEFAULT 'DELIMITER ;;'; SET @x = x; END

CREATE FUNCTION `same.name`(a varchar(9) CHARACTER SET latin1) RETURNS varchar(99) CHARACTER SET utf8mb4
  DETERMINISTIC SQL SECURITY INVOKER COMMENT 'it''s; -- \\' RETURN CONCAT(a, '☎;\n')

CREATE PROCEDURE `same.name`(IN a int, OUT `b;` int, INOUT c json) READS SQL DATA
BEGIN
  -- DELIMITER ;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END; /* it's */
  SELECT 'x;' INTO @x; # `
  SET `b;` = a;
END

SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'

CREATE FUNCTION "under \""" () RETURNS varchar(20) DETERMINISTIC RETURN 'C:\' || 'it''s'

CREATE TRIGGER "under ansi" BEFORE UPDATE ON bare FOR EACH ROW SET NEW."id" = LENGTH('\' || '')

INSERT INTO texts (id, v, l) VALUES (5, '\', '\n%\_')

SET sql_mode = ''

CREATE EVENT `every day` ON SCHEDULE EVERY '1:30' DAY_HOUR STARTS '2026-03-29 02:30:00' ENDS '2037-12-31 00:00:00'
  ON COMPLETION PRESERVE ENABLE COMMENT 'it''s ENABLE; DISABLE' DO BEGIN SELECT ';'; END

CREATE EVENT once ON SCHEDULE AT '2037-01-01 00:00:00' ON COMPLETION NOT PRESERVE DISABLE DO SET @x = 1
