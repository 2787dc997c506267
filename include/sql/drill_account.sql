-- The account that the drill's connection uses, on the scratch server only. It can create, fill, read and drop
-- databases whose names start with drill_, and nothing else.
CREATE USER IF NOT EXISTS 'drill'@'%' IDENTIFIED BY 'change-me' REQUIRE SSL;
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `drill\_%`.* TO 'drill'@'%';
-- MariaDB: history rows of system-versioned tables.
GRANT DELETE HISTORY ON `drill\_%`.* TO 'drill'@'%';
-- To read back the bodies of the routines that it has restored (MariaDB: own routines are visible anyway).
-- MySQL: GRANT SHOW_ROUTINE ON *.* TO 'drill'@'%';
-- A scratch server that writes a binary log also needs log_bin_trust_function_creators = 1.
