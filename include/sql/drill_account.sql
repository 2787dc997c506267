-- The account that the drill's connection uses, on the scratch server only. It can create, fill, read and drop
-- databases whose names start with drill_, and nothing else.
-- What stands in /*M! ... */ only MariaDB executes, what stands in /*!80020 ... */ only MySQL from that version on.
CREATE USER IF NOT EXISTS 'drill'@'%' IDENTIFIED BY 'change-me' REQUIRE SSL;
GRANT CREATE, DROP, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
      CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES
   ON `drill\_%`.* TO 'drill'@'%';
-- History rows of system-versioned tables.
/*M! GRANT DELETE HISTORY ON `drill\_%`.* TO 'drill'@'%' */;
-- To read back the bodies of the routines that it has restored (MariaDB: own routines are visible anyway).
/*!80020 GRANT SHOW_ROUTINE ON *.* TO 'drill'@'%' */;
-- To restore what the server's own settings may forbid to new tables: a table without a primary key, a foreign key to
-- columns that are not unique.
/*!80014 GRANT SESSION_VARIABLES_ADMIN ON *.* TO 'drill'@'%' */;
-- A scratch server that writes a binary log also needs log_bin_trust_function_creators = 1.
