-- What MariaDB servers on the two sides of 11.5 cannot take from each other.

CREATE TABLE history (id int PRIMARY KEY, v varchar(9), free int WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING

INSERT INTO history VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, NULL, NULL)

UPDATE history SET v = 'x' WHERE id = 1

DELETE FROM history WHERE id = 3

CREATE TABLE `named periods` (id int, `from` timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE COMMENT 'it''s',
  `to` timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (`from`, `to`)) WITH SYSTEM VERSIONING

INSERT INTO `named periods` VALUES (1), (NULL)

UPDATE `named periods` SET id = 2 WHERE id = 1

CREATE TABLE `kept apart` (id int, v blob) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME
  (PARTITION `p ``h☎` HISTORY, PARTITION now CURRENT)

INSERT INTO `kept apart` VALUES (1, x'00'), (NULL, NULL)

DELETE FROM `kept apart` WHERE id = 1

CREATE TABLE `kept by month` (id int, v int) WITH SYSTEM VERSIONING
  PARTITION BY SYSTEM_TIME INTERVAL 1 MONTH STARTS '2026-01-01 00:00:00' PARTITIONS 3

INSERT INTO `kept by month` VALUES (1, NULL), (NULL, 1)

CREATE TABLE `both times` (id int, s date, e date, PERIOD FOR valid (s, e), PRIMARY KEY (id, valid WITHOUT OVERLAPS)) WITH SYSTEM VERSIONING

INSERT INTO `both times` VALUES (1, '2026-01-01', '2026-02-01')

UPDATE `both times` FOR PORTION OF valid FROM '2026-01-10' TO '2026-01-20' SET id = 2
