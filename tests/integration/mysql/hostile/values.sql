-- What every server takes: values of every type. Statements are separated by bare lines; SQL mode is bare, time zone UTC.

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
  (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (6, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -9, -1, -1.4013e-45, -5e-324, 1, 1, 2000, 1),
  (7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CONCAT('-', REPEAT('9', 65)), -99999999999999999999999999999999999.999999999999999999999999999999,
   1.4013e-45, 5e-324, 0, 0, 1970, 1)

CREATE TABLE `unsigned and zerofill` (
  id int PRIMARY KEY, t tinyint(1) zerofill, s smallint(9) zerofill, m mediumint zerofill, i int(255) zerofill, b bigint zerofill,
  d decimal(9,2) zerofill, du decimal(65,30) unsigned, least decimal(1,1), f float(7,3) zerofill, fu float unsigned,
  g double(15,4) zerofill, gu double unsigned)

INSERT INTO `unsigned and zerofill` VALUES
  (1, 0, 0, 0, 0, 0, 0, 0, -0.9, 0, 0, 0, 0),
  (2, 255, 65535, 16777215, 4294967295, 18446744073709551615, 9999999.99, 99999999999999999999999999999999999.999999999999999999999999999999,
   0.9, 9999.999, 3.40282e38, 99999999999.9999, 1.7976931348623157e308),
  (3, 7, 7, 7, 7, 7, 7, 7, 0.7, 7, 7, 7, 7),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE `negative zero` (id int PRIMARY KEY, f float, g double)

INSERT INTO `negative zero` VALUES (1, -0e0, -0e0), (2, 0, 0), (3, 16777216, 1/3e0), (4, NULL, NULL)

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

CREATE TABLE fractions (
  id int PRIMARY KEY, t1 time(1), t2 time(2), t3 time(3), t4 time(4), t5 time(5), d1 datetime(1), d2 datetime(2), d3 datetime(3),
  d4 datetime(4), d5 datetime(5), s1 timestamp(1) NULL, s2 timestamp(2) NULL, s3 timestamp(3) NULL, s4 timestamp(4) NULL,
  s5 timestamp(5) NULL)

INSERT INTO fractions VALUES
  (1, '-838:59:58.9', '-838:59:58.99', '-00:00:00.001', '00:00:00.0001', '838:59:58.99999', '0001-01-01 00:00:00.1',
   '1000-01-01 00:00:00.01', '2026-03-29 02:30:00.001', '9999-12-31 23:59:59.9999', '9999-12-31 23:59:59.99999',
   '1970-01-01 00:00:01.1', '2026-03-29 00:59:59.99', '2026-03-29 01:00:00.001', '2026-10-25 00:30:00.0001', '2038-01-19 03:14:07.99999'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

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

CREATE TABLE `as long as may be` (
  id int PRIMARY KEY, c char(255), v varchar(255), b binary(255), vb varbinary(255), tt tinytext CHARACTER SET latin1, tb tinyblob,
  t text CHARACTER SET latin1, bl blob)

INSERT INTO `as long as may be` VALUES
  (1, REPEAT('🩺', 255), REPEAT('🩺', 255), REPEAT(x'ff', 255), REPEAT(x'00', 255), REPEAT('\\', 255), REPEAT(x'27', 255),
   REPEAT('''', 65535), REPEAT(x'5c', 65535)),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE `only bytes` (id int PRIMARY KEY, wide varbinary(60000))

INSERT INTO `only bytes` VALUES (1, REPEAT(x'0a', 60000)), (2, NULL)

CREATE TABLE shapes (
  id int PRIMARY KEY, g geometry, p point NOT NULL, l linestring, y polygon, mp multipoint, ml multilinestring,
  my multipolygon, gc geometrycollection)

INSERT INTO shapes VALUES
  (1, POINT(-180, 90), POINT(0, 0), ST_GeomFromText('LINESTRING(0 0, 1 1)'), ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))'),
   ST_GeomFromText('MULTIPOINT(1 1, 2 2)'), ST_GeomFromText('MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'),
   ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')),
  (2, NULL, POINT(0.1, -0.1), NULL, NULL, NULL, NULL, NULL, NULL),
  (3, ST_GeomFromText('POLYGON((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))'), POINT(1e300, -5e-324),
   ST_GeomFromText('LINESTRING(-1e9 0.3, 1e-9 0)'), NULL, NULL, NULL, NULL,
   ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1), POLYGON((0 0, 1 0, 1 1, 0 0)), MULTIPOINT(1 1))')),
  (4, ST_GeomFromText('MULTIPOINT(1 1)'), POINT(1, 1), NULL, NULL, NULL, NULL, NULL, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')),
  (5, ST_GeomFromText('MULTILINESTRING((0 0, 1 1))'), POINT(1, 1), NULL, NULL, NULL, NULL, NULL, NULL),
  (6, ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'), POINT(1, 1), NULL, NULL, NULL, NULL, NULL, NULL)

CREATE TABLE documents (id int PRIMARY KEY, j json)

INSERT INTO documents VALUES
  (1, '{"every \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000 \\u263a \\ud83e\\ude7a": [null, true, false, 0, -1, 1.5, 1e300, "", {}, []]}'),
  (2, '"null"'), (3, 'null'), (4, NULL), (5, '[18446744073709551615, -9223372036854775808]'),
  (6, CONCAT(REPEAT('[', 30), REPEAT(']', 30))), (7, '{"": "", "a.b$[0]": "it''s; \\\\ `☎`", "🩺\\n": "\\u0001\\u001f\\u007f"}'),
  (8, CONCAT('"', REPEAT('ж', 70000), '"')), (9, '{}'), (10, '[]'), (11, 'true'), (12, '0')

CREATE TABLE `16 MB` (id int PRIMARY KEY, b longblob, t longtext)

INSERT INTO `16 MB` VALUES (1, REPEAT(x'00275c', 5700000), REPEAT('it''s \\', 2900000)), (2, NULL, NULL)
