-- The account that disaster_recovery uses on the target server (parameter target_conn_id). Run as an administrator;
-- replace the password, and `surgicase` by the database's name. It can rewrite that database and those whose names
-- start with it and an underscore: `…_restored`, `…_incoming_<time>`, `…_before_<time>`.
-- What stands in /*M! ... */ only MariaDB executes, what stands in /*!80020 ... */ only MySQL from that version on.
CREATE USER IF NOT EXISTS 'recovery'@'%' IDENTIFIED BY 'change-me' REQUIRE SSL;
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `surgicase`.* TO 'recovery'@'%';
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `surgicase\_%`.* TO 'recovery'@'%';
-- History rows of system-versioned tables.
/*M! GRANT DELETE HISTORY ON `surgicase`.* TO 'recovery'@'%' */;
/*M! GRANT DELETE HISTORY ON `surgicase\_%`.* TO 'recovery'@'%' */;
-- To restore what the server's own settings may forbid to new tables: a table without a primary key, a foreign key to
-- columns that are not unique.
/*!80014 GRANT SESSION_VARIABLES_ADMIN ON *.* TO 'recovery'@'%' */;

-- To create views, routines, triggers and events in the name of their owners, and to see which owners exist.
-- MySQL before 8.2 calls the privilege SET_USER_ID.
/*M! GRANT SET USER ON *.* TO 'recovery'@'%' */;
/*!80200 GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.* TO 'recovery'@'%' */;
GRANT SELECT ON `mysql`.`user` TO 'recovery'@'%';
-- MySQL lets only accounts with SYSTEM_USER touch code whose owner has it, as root has. (Instead of it, to be told by
-- the plan whose code that is: GRANT SELECT ON `mysql`.`global_grants`.)
/*!80016 GRANT SYSTEM_USER ON *.* TO 'recovery'@'%' */;

-- For the safety backup of what is overwritten: as in backup_account.sql.
/*M! GRANT SELECT ON `mysql`.`proc` TO 'recovery'@'%' */;
/*!80020 GRANT SHOW_ROUTINE ON *.* TO 'recovery'@'%' */;
GRANT RELOAD, REPLICATION CLIENT ON *.* TO 'recovery'@'%';
-- A server that writes a binary log also needs log_bin_trust_function_creators = 1.

-- Only to bring the accounts of the lost server back, too (parameter accounts), and only for that day: nobody can give
-- what they have not. Take it back with REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'recovery'@'%', and run this file again.
-- GRANT ALL PRIVILEGES ON *.* TO 'recovery'@'%' WITH GRANT OPTION;
