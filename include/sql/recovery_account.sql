-- The account that disaster_recovery uses on the target server (parameter target_conn_id). Run as an administrator;
-- replace the password, and `surgicase` by the database's name. It can rewrite that database and those whose names
-- start with it and an underscore: `…_restored`, `…_incoming_<time>`, `…_before_<time>`.
CREATE USER IF NOT EXISTS 'recovery'@'%' IDENTIFIED BY 'change-me' REQUIRE SSL;
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `surgicase`.* TO 'recovery'@'%';
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `surgicase\_%`.* TO 'recovery'@'%';
-- MariaDB: history rows of system-versioned tables.
GRANT DELETE HISTORY ON `surgicase`.* TO 'recovery'@'%';
GRANT DELETE HISTORY ON `surgicase\_%`.* TO 'recovery'@'%';

-- To create views, routines, triggers and events in the name of their owners, and to see which owners exist.
-- MariaDB:
GRANT SET USER ON *.* TO 'recovery'@'%';
-- MySQL, instead: GRANT SET_USER_ID ON *.* (8.0), or SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.* (8.2 and later).
GRANT SELECT ON `mysql`.`user` TO 'recovery'@'%';

-- For the safety backup of what is overwritten: as in backup_account.sql.
GRANT SELECT ON `mysql`.`proc` TO 'recovery'@'%';
-- MySQL, instead: GRANT SHOW_ROUTINE ON *.* TO 'recovery'@'%';
GRANT RELOAD, BINLOG MONITOR ON *.* TO 'recovery'@'%';
-- MySQL, instead: GRANT RELOAD, REPLICATION CLIENT ON *.* TO 'recovery'@'%';
-- A server that writes a binary log also needs log_bin_trust_function_creators = 1.
