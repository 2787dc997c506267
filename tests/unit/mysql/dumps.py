r"""What the dump programs write, cut short: MariaDB 10.11 (one row per line) and MySQL 8.0 (one INSERT per line).

Bodies hold what misleads careless readers: announcements, DELIMITER lines, delimiters in strings and comments.
"""

from __future__ import annotations

MARIADB = rb"""/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: surgicase
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;

--
-- Alternately, following is the position of the binary logging from SHOW MASTER STATUS at point of backup.
--

-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000007', MASTER_LOG_POS=5909886;

--
-- Sequence structure for `mrn_seq`
--

DROP SEQUENCE IF EXISTS `mrn_seq`;
CREATE SEQUENCE `mrn_seq` start with 70000000 minvalue 1 maxvalue 99999999 increment by 1 cache 50 nocycle ENGINE=InnoDB;
DO SETVAL(`mrn_seq`, 70000050, 0);

--
-- Temporary table structure for view `a_board`
--

DROP TABLE IF EXISTS `a_board`;
/*!50001 DROP VIEW IF EXISTS `a_board`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `a_board` AS SELECT
 NULL AS `surgeon`,
 NULL AS `open_cases` */;
SET character_set_client = @saved_cs_client;

--
-- Table structure for table `cases`
--

DROP TABLE IF EXISTS `cases`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `cases` (
  `id` int(10) unsigned NOT NULL DEFAULT nextval(`surgicase`.`mrn_seq`) COMMENT 'taken from surgicase.cases; -- no comment',
  `note` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `patients` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=81 DEFAULT CHARSET=utf8mb4 COMMENT='DELIMITER ;;';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `cases`
--

LOCK TABLES `cases` WRITE;
/*!40000 ALTER TABLE `cases` DISABLE KEYS */;
INSERT INTO `cases` VALUES
(1,'it\'s; a \"case\"\n-- Table structure for table `nope`\n(2,'),
(2,';'),
(3,NULL);
INSERT INTO `cases` VALUES
(4,0xDEADBEEF);
/*!40000 ALTER TABLE `cases` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`app`@`%`*/ /*!50003 TRIGGER surgicase.`cases_log` BEFORE INSERT ON `surgicase`.cases FOR EACH ROW BEGIN
  /* How it was made:
DELIMITER ;
CREATE TRIGGER x ... ;;
DELIMITER ;
-- Table structure for table `nope`
*/
  SET NEW.note = 'a;;
-- Dump completed
';
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Table structure for table `history`
--

DROP TABLE IF EXISTS `history`;
CREATE TABLE `history` (
  `id` int(11) NOT NULL
) ENGINE=InnoDB WITH SYSTEM VERSIONING;

--
-- Dumping data for table `history`
--

/*M!101100 SET @old_system_versioning_insert_history=@@session.system_versioning_insert_history, @@session.system_versioning_insert_history=1 */;
LOCK TABLES `history` WRITE;
INSERT INTO `history` (`id`, row_start, row_end) VALUES (1,'2023-03-01 06:00:00.000000','2023-03-02 06:00:00.000000'),
(1,'2023-03-02 06:00:00.000000','2106-02-07 06:28:15.999999');
UNLOCK TABLES;
/*M!101100 SET system_versioning_insert_history=@old_system_versioning_insert_history */;

--
-- Table structure for table `waiting``list`
--

DROP TABLE IF EXISTS `waiting``list`;
CREATE TABLE `waiting``list` (
  `id` int(11) NOT NULL
) ENGINE=InnoDB;

--
-- Dumping data for table `waiting``list`
--

LOCK TABLES `waiting``list` WRITE;
UNLOCK TABLES;

--
-- Dumping events for database 'surgicase'
--
/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;
/*!50106 DROP EVENT IF EXISTS `rollup` */;
DELIMITER ;;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;;
/*!50003 SET time_zone             = '+00:00' */ ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `rollup` ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2036-02-01 00:00:00' ON COMPLETION NOT PRESERVE DISABLE COMMENT 'ON COMPLETION PRESERVE ENABLE' DO DELETE FROM cases 
*/ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
/*!50106 DROP EVENT IF EXISTS `purge` */;;
DELIMITER ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`app`@`%`*/ /*!50106 EVENT `purge` ON SCHEDULE AT '2037-06-30 12:00:00' ON COMPLETION PRESERVE ENABLE DO BEGIN
  DELETE FROM cases WHERE note = 'DELIMITER $$; '; -- old; only
END 
*/ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
DELIMITER ;
/*!50106 SET TIME_ZONE= @save_time_zone */ ;

--
-- Dumping routines for database 'surgicase'
--
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES' */ ;
/*!50003 DROP FUNCTION IF EXISTS `label for` */;
DELIMITER ;;
CREATE DEFINER="root"@"localhost" FUNCTION "label for"("p name" VARCHAR(60)) RETURNS varchar(100)
    DETERMINISTIC
RETURN 'C:\' || "p name" || ';;
'
;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 DROP PROCEDURE IF EXISTS `close_case` */;
DELIMITER ;;
CREATE DEFINER=`app`@`%` PROCEDURE `close_case`(IN p INT)
BEGIN
  -- it's quoted ;;
  # "so is this ;;
  UPDATE cases SET note = 'back\\' WHERE id = p;
END
;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Final view structure for view `a_board`
--

/*!50001 DROP VIEW IF EXISTS `a_board`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`app`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `a_board` AS select `c`.`id` AS `surgeon`,'; -- "' AS `open_cases` from `cases` `c` */
/*!50002 WITH CASCADED CHECK OPTION */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;

-- Dump completed on 2026-01-02  3:04:05
"""  # noqa: E501 - as the program writes it

MYSQL = rb"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: surgicase
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;

--
-- Position to start replication or point-in-time recovery from
--

-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000002', SOURCE_LOG_POS=157;

--
-- Temporary view structure for view `a_board`
--

DROP TABLE IF EXISTS `a_board`;
/*!50001 DROP VIEW IF EXISTS `a_board`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `a_board` AS SELECT 
 1 AS `surgeon`*/;
SET character_set_client = @saved_cs_client;

--
-- Table structure for table `cases`
--

DROP TABLE IF EXISTS `cases`;
CREATE TABLE `cases` (
  `id` int NOT NULL,
  `note` text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

--
-- Dumping data for table `cases`
--

LOCK TABLES `cases` WRITE;
/*!40000 ALTER TABLE `cases` DISABLE KEYS */;
INSERT INTO `cases` VALUES (1,'it\'s;'),(2,'\n(3,');
INSERT INTO `cases` (`id`, `note`) VALUES (3,_binary 'x'),(4,NULL);
/*!40000 ALTER TABLE `cases` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Dumping routines for database 'surgicase'
--
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
CREATE DEFINER=`app`@`%` FUNCTION `f`() RETURNS int
    DETERMINISTIC
RETURN 1 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Final view structure for view `a_board`
--

/*!50001 DROP VIEW IF EXISTS `a_board`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`app`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `a_board` AS select 1 AS `surgeon` */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;

-- Dump completed on 2026-01-02  3:04:05
"""
