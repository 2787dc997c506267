-- What every server takes: names, attributes, keys, constraints, partitions and engines of tables.

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

INSERT INTO `every attribute` (d, n, now, hidden) VALUES ('a', 1, '2026-01-01', 8), ('b', NULL, NULL, NULL)

UPDATE `every attribute` SET e = NULL, now = NULL WHERE n IS NULL

CREATE TABLE child (id int PRIMARY KEY, parent bigint unsigned, me int,
  CONSTRAINT `to; parent` FOREIGN KEY (parent) REFERENCES `every attribute` (id) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT `to me` FOREIGN KEY (me) REFERENCES child (id))

INSERT INTO child VALUES (1, 4000000000, 1), (2, NULL, 1), (3, NULL, NULL)

CREATE TABLE parted (id int NOT NULL, d date NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE (YEAR(d))
  SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION `p``1` VALUES LESS THAN (2000) COMMENT 'it''s', PARTITION `rest` VALUES LESS THAN MAXVALUE)

INSERT INTO parted VALUES (1, '1999-12-31'), (1, '2000-01-01'), (2, '0000-00-00')

CREATE TABLE `my isam` (a int, b text, FULLTEXT KEY (b)) ENGINE=MyISAM

INSERT INTO `my isam` VALUES (1, 'x'), (1, 'x'), (NULL, NULL)

CREATE TABLE bare (id int)

INSERT INTO bare VALUES (NULL)

CREATE TABLE `a``b.c d☎` (id int NOT NULL, `a``b.c d☎` int, up int, CONSTRAINT `a``b.c d☎` CHECK (id > -9), PRIMARY KEY (id),
  KEY `a``b.c d☎` (`a``b.c d☎`), KEY `order` (up), CONSTRAINT `check` CHECK (up < 99), CONSTRAINT `to a``b.c d☎` FOREIGN KEY (up) REFERENCES `a``b.c d☎` (id))

INSERT INTO `a``b.c d☎` VALUES (1, 1, 1), (2, NULL, NULL)

CREATE TABLE `parts.of ``☎` (id int) PARTITION BY RANGE (id) SUBPARTITION BY HASH (id)
  (PARTITION `select` VALUES LESS THAN (1) (SUBPARTITION `a``b.c d☎`, SUBPARTITION `from`),
   PARTITION `a``b.c ☎` VALUES LESS THAN MAXVALUE (SUBPARTITION `a.b`, SUBPARTITION `''`))

INSERT INTO `parts.of ``☎` VALUES (0), (1), (NULL)

CREATE TABLE `this name has sixty-four characters, as many as there may be☎☎☎☎` (
  `中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中中` int)

INSERT INTO `this name has sixty-four characters, as many as there may be☎☎☎☎` VALUES (1), (NULL)

CREATE TABLE `../a\b"c'd%e_f#g@h?i` (`../a\b"c'd%e_f#g@h?i` int)

INSERT INTO `../a\b"c'd%e_f#g@h?i` VALUES (1), (NULL)

CREATE TABLE `Case` (a int)

CREATE TABLE `case` (a int)

INSERT INTO `Case` VALUES (1), (NULL)

INSERT INTO `case` VALUES (2), (NULL)

CREATE TABLE `keys` (
  id int PRIMARY KEY COMMENT '☎', a int, b varchar(99), c text, d blob, p point NOT NULL, u int, x varchar(9) CHARACTER SET ascii,
  KEY `mixed` (a DESC, b(3) ASC, c(5) DESC), UNIQUE KEY nulls (u, a), UNIQUE KEY bytes (d(20)), KEY tree USING BTREE (a) COMMENT '☎ it''s',
  FULLTEXT KEY `words; ☎` (b, c) COMMENT 'FULLTEXT KEY', FULLTEXT KEY (x), SPATIAL KEY places (p) COMMENT 'SPATIAL', KEY twice (a), KEY again (a))
  KEY_BLOCK_SIZE=8 COMMENT '🩺'

INSERT INTO `keys` VALUES (1, 1, 'a b', 'it''s', x'00', POINT(1, 2), NULL, 'x'), (2, NULL, NULL, NULL, NULL, POINT(0, 0), NULL, NULL)

CREATE TABLE `no primary key` (a int NOT NULL, b int, UNIQUE KEY (a), UNIQUE KEY (b))

INSERT INTO `no primary key` VALUES (1, NULL), (2, NULL)

CREATE TABLE counted (id tinyint NOT NULL AUTO_INCREMENT PRIMARY KEY, n int) COMMENT='zero, below zero, and no number left'

SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'

INSERT INTO counted VALUES (0, 0), (-128, NULL), (127, 1)

SET sql_mode = ''

CREATE TABLE counting (n int, id bigint unsigned NOT NULL AUTO_INCREMENT, PRIMARY KEY (n, id), KEY (id)) AUTO_INCREMENT=18446744073709551614

CREATE TABLE parents (id int PRIMARY KEY, a int, b int, UNIQUE KEY (a, b))

INSERT INTO parents VALUES (1, 1, 1), (2, 2, NULL), (3, NULL, 1)

CREATE TABLE children (id int PRIMARY KEY, r int, c int, n int, o int, a int, b int,
  CONSTRAINT restricts FOREIGN KEY (r) REFERENCES parents (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT cascades FOREIGN KEY (c) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT `set null` FOREIGN KEY (n) REFERENCES parents (id) ON DELETE SET NULL ON UPDATE SET NULL,
  CONSTRAINT `no action` FOREIGN KEY (o) REFERENCES parents (id) ON DELETE NO ACTION ON UPDATE NO ACTION,
  CONSTRAINT `set default` FOREIGN KEY (r) REFERENCES parents (id) ON DELETE SET DEFAULT ON UPDATE SET DEFAULT,
  CONSTRAINT `a``b.c d☎` FOREIGN KEY (a, b) REFERENCES parents (a, b) ON DELETE CASCADE)

INSERT INTO children VALUES (1, 1, 1, 1, 1, 1, 1), (2, NULL, NULL, NULL, NULL, 9, NULL), (3, NULL, NULL, NULL, NULL, NULL, 1)

CREATE TABLE hen (id int PRIMARY KEY, egg int)

CREATE TABLE egg (id int PRIMARY KEY, hen int, CONSTRAINT `laid by` FOREIGN KEY (hen) REFERENCES hen (id))

INSERT INTO hen VALUES (1, NULL), (2, 1)

INSERT INTO egg VALUES (1, 1), (2, NULL)

ALTER TABLE hen ADD CONSTRAINT `hatched from` FOREIGN KEY (egg) REFERENCES egg (id)

CREATE TABLE `by range of columns` (a int, b varchar(9), c datetime) PARTITION BY RANGE COLUMNS (a, b, c)
  (PARTITION p1 VALUES LESS THAN (1, 'it''s', '2026-03-29 02:30:00'), PARTITION p2 VALUES LESS THAN (9, MAXVALUE, MAXVALUE),
   PARTITION p3 VALUES LESS THAN (MAXVALUE, MAXVALUE, MAXVALUE))

INSERT INTO `by range of columns` VALUES (1, 'a', '2026-01-01'), (5, 'x', NULL), (NULL, NULL, NULL), (99, 'z', '9999-12-31')

CREATE TABLE `by list` (a int) PARTITION BY LIST (a) (PARTITION few VALUES IN (1, 3, NULL) COMMENT '☎' MAX_ROWS=9, PARTITION others VALUES IN (2, -4))

INSERT INTO `by list` VALUES (1), (2), (NULL)

CREATE TABLE `by list of columns` (a varchar(9) CHARACTER SET latin1, b date) PARTITION BY LIST COLUMNS (a, b)
  SUBPARTITION BY KEY (b) SUBPARTITIONS 2
  (PARTITION p1 VALUES IN (('ä', '2026-01-01'), ('it''s', NULL)), PARTITION p2 VALUES IN ((NULL, '0000-01-01')))

INSERT INTO `by list of columns` VALUES ('ä', '2026-01-01'), ('it''s', NULL), (NULL, '0000-01-01')

CREATE TABLE `by hash` (a int) PARTITION BY HASH (a + 1) PARTITIONS 3

INSERT INTO `by hash` VALUES (1), (2), (NULL)

CREATE TABLE `by linear hash` (a int) PARTITION BY LINEAR HASH (a) (PARTITION `p 1`, PARTITION `p 2`)

INSERT INTO `by linear hash` VALUES (1), (2), (NULL)

CREATE TABLE `by key` (a int PRIMARY KEY, b int) PARTITION BY KEY () PARTITIONS 2

INSERT INTO `by key` VALUES (1, 1), (2, NULL)

CREATE TABLE `by linear key` (a varchar(9), b int) PARTITION BY LINEAR KEY ALGORITHM=1 (a, b) PARTITIONS 2

INSERT INTO `by linear key` VALUES ('a', 1), (NULL, NULL)

CREATE TABLE `linear below` (a int, d datetime) PARTITION BY RANGE (TO_DAYS(d)) SUBPARTITION BY LINEAR KEY (a) SUBPARTITIONS 2
  (PARTITION p1 VALUES LESS THAN (TO_DAYS('2026-10-25')), PARTITION p2 VALUES LESS THAN MAXVALUE)

INSERT INTO `linear below` VALUES (1, '2026-10-24 23:59:59'), (2, '2026-10-25'), (NULL, NULL)

CREATE TABLE `linear hash below` (a int, b int) PARTITION BY LIST (a) SUBPARTITION BY LINEAR HASH (b) SUBPARTITIONS 3 (PARTITION p VALUES IN (1, NULL))

INSERT INTO `linear hash below` VALUES (1, 7), (NULL, NULL)

CREATE TABLE `in memory` (a int, b varchar(9), KEY USING HASH (a), KEY USING BTREE (b), UNIQUE KEY (a, b)) ENGINE=MEMORY MAX_ROWS=9

INSERT INTO `in memory` VALUES (1, 'x'), (NULL, NULL)

CREATE TABLE `comma, separated` (a int NOT NULL, b text NOT NULL) ENGINE=CSV

INSERT INTO `comma, separated` VALUES (1, 'a,"b"\n\\'), (2, '')

CREATE TABLE `of my isam` (id int NOT NULL AUTO_INCREMENT, a int NOT NULL, c char(9), g geometry NOT NULL, PRIMARY KEY (a, id),
  SPATIAL KEY (g), KEY (c)) ENGINE=MyISAM CHECKSUM=1 DELAY_KEY_WRITE=1 PACK_KEYS=1 AVG_ROW_LENGTH=99 MIN_ROWS=2 ROW_FORMAT=DYNAMIC

INSERT INTO `of my isam` VALUES (1, 1, 'a', POINT(1, 1)), (NULL, 1, NULL, POINT(2, 2)), (NULL, 2, NULL, POINT(3, 3))

CREATE TABLE `redundant format` (a int) ROW_FORMAT=REDUNDANT STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=5

CREATE TABLE `compact format` (a int) ROW_FORMAT=COMPACT STATS_PERSISTENT=1

CREATE TABLE `fixed format` (a int) ENGINE=MyISAM ROW_FORMAT=FIXED

CREATE TABLE `dynamic format` (a int) ROW_FORMAT=DYNAMIC

INSERT INTO `redundant format` VALUES (NULL)

INSERT INTO `compact format` VALUES (NULL)

INSERT INTO `fixed format` VALUES (NULL)

INSERT INTO `dynamic format` VALUES (NULL)

CREATE TABLE `generated` (id int PRIMARY KEY, a int, t varchar(20), v int AS (a * 2) VIRTUAL UNIQUE COMMENT 'it''s; \\',
  s varchar(40) CHARACTER SET latin1 AS (CONCAT('it''s \\ ☎', t)) STORED INVISIBLE, w int AS (v + 1) VIRTUAL, n int NOT NULL DEFAULT (1 + 1),
  KEY (w), CONSTRAINT `both; of them` CHECK (a <> v OR a IS NULL))

INSERT INTO `generated` (id, a, t) VALUES (1, 1, 'x'), (2, NULL, NULL)

CREATE TABLE `default values` (
  id int PRIMARY KEY, i int DEFAULT -1, d decimal(9,2) DEFAULT 0.10, f double DEFAULT 1e100, c char(9) DEFAULT '', n varchar(9) DEFAULT 'NULL',
  l varchar(9) CHARACTER SET latin1 DEFAULT 'ä''\\\n', e enum('a', 'it''s') DEFAULT 'it''s', s set('a', 'b') DEFAULT 'a,b', b bit(9) DEFAULT b'101',
  y year DEFAULT 2026, da date DEFAULT '0000-00-00', t time(3) DEFAULT '-838:59:59', dt datetime DEFAULT '9999-12-31 23:59:59',
  ts timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, t6 timestamp(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6),
  bi varbinary(9) DEFAULT x'00ff270a0d5c5c78ff', fi binary(3) DEFAULT 'é')

INSERT INTO `default values` (id, ts) VALUES (1, '2026-01-01')

INSERT INTO `default values` VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01', NULL, NULL, NULL)
