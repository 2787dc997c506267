-- What every server takes: views, triggers, routines and events.

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

CREATE TABLE watched (id int PRIMARY KEY, n int)

INSERT INTO watched VALUES (1, 1), (2, NULL)

CREATE VIEW `view.of ``☎` (`a``b.c d☎`, `select`) AS SELECT id, 1 FROM watched

CREATE VIEW `on views` AS WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting WHERE n < 3)
  SELECT counting.n, w.id, ROW_NUMBER() OVER (PARTITION BY w.n ORDER BY counting.n) AS place FROM counting
  LEFT JOIN `view.of ``☎` AS v ON v.`select` = counting.n LEFT JOIN watched AS w ON w.id = v.`a``b.c d☎`
  WHERE EXISTS (SELECT 1 FROM `a last`) GROUP BY counting.n, w.id, w.n HAVING COUNT(*) > 0

CREATE VIEW `where` AS SELECT `n` AS `where` FROM watched AS `order`

CREATE PROCEDURE `call`() SET @x = 1

CREATE EVENT `drop` ON SCHEDULE AT '2037-01-01 00:00:00' DISABLE DO SET @x = 1

CREATE TRIGGER `a``b.c d☎` BEFORE DELETE ON watched FOR EACH ROW SET @x = '☎ it''s; \\'

CREATE PROCEDURE `a``b.c d☎`(`a``b.c d` int, `from` int, `.☎` int) BEGIN DECLARE `x.☎ y` int DEFAULT `.☎`; SET @x = `x.☎ y`; END

CREATE FUNCTION `a``b.c d☎`(`select` int) RETURNS int DETERMINISTIC COMMENT '☎' RETURN `select`

CREATE VIEW `calls` AS SELECT `a``b.c d☎`(id) AS x FROM watched

CREATE EVENT `a``b.c d☎` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE COMMENT '☎' DO SET @x = '☎'

CREATE PROCEDURE `every type`(
  a tinyint, b smallint unsigned, c mediumint, d int zerofill, e bigint, f decimal(65,30), g float, h double, i bit(64), j date, k time(6),
  l datetime(6), m timestamp, n year, o char(9) CHARACTER SET latin1 COLLATE latin1_bin, p varchar(99), q binary(9), r varbinary(9),
  s tinyblob, t blob, u mediumblob, v longblob, w tinytext, x text CHARACTER SET ucs2, y mediumtext, z longtext, aa enum('it''s', '☎'),
  bb set('x', 'y'), cc json, dd geometry, ee point, ff linestring, gg polygon, hh multipoint, ii multilinestring, jj multipolygon,
  kk geometrycollection, OUT ll int, INOUT mm boolean)
BEGIN END

CREATE PROCEDURE `every statement`(IN a int)
  COMMENT 'all that
stands on -- several
lines' MODIFIES SQL DATA
outer_block: BEGIN
  DECLARE done int DEFAULT 0;
  DECLARE found varchar(20) CHARACTER SET latin1;
  DECLARE no_such_table CONDITION FOR 1146;
  DECLARE rows_of CURSOR FOR SELECT v FROM texts;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  DECLARE EXIT HANDLER FOR no_such_table BEGIN GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT; RESIGNAL; END;
  OPEN rows_of;
  reading: LOOP
    FETCH rows_of INTO found;
    IF done THEN LEAVE reading; ELSEIF found IS NULL THEN ITERATE reading; ELSE SET @x = found; END IF;
  END LOOP reading;
  CLOSE rows_of;
  WHILE a > 0 DO SET a = a - 1; END WHILE;
  REPEAT SET a = a + 1; UNTIL a > 3 END REPEAT;
  CASE a WHEN 1 THEN SET @x = ';'; ELSE BEGIN END; END CASE;
  IF a < 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'it''s; -- "\\"'; END IF;
  PREPARE s FROM 'SELECT 1; '; # dynamic
  EXECUTE s; DEALLOCATE PREPARE s;
END outer_block

CREATE FUNCTION `of geometry`(a json) RETURNS point NOT DETERMINISTIC NO SQL RETURN POINT(1, 1)

CREATE FUNCTION `of latin1`(a enum('x')) RETURNS enum('ä', 'it''s') CHARACTER SET latin1 CONTAINS SQL RETURN 'ä'

SET time_zone = '-09:30'

CREATE EVENT `in another zone` ON SCHEDULE EVERY 1 DAY STARTS '2026-03-29 02:30:00' ENABLE DO SET @x = 1

SET time_zone = '+00:00'

SET NAMES latin1

CREATE PROCEDURE `by a latin1 client`() SELECT 'plain'

CREATE TRIGGER `by a latin1 client` AFTER UPDATE ON watched FOR EACH ROW SET @x = 'plain'

CREATE VIEW `by a latin1 client` AS SELECT 'plain' AS p

CREATE EVENT `by a latin1 client` ON SCHEDULE AT '2037-06-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO SET @x = 'plain'

SET NAMES utf8mb4 COLLATE utf8mb4_bin

CREATE PROCEDURE `by a binary client`() SELECT '☎' = 'plain'

CREATE TRIGGER `by a binary client` AFTER UPDATE ON watched FOR EACH ROW SET @x = '☎'

CREATE VIEW `by a binary client` AS SELECT '☎' AS p

SET NAMES utf8mb4
