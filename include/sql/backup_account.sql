-- The account that the connection of a source uses. Run as an administrator; replace the password, and
-- `surgicase` by the database's name. It reads, and it can change nothing.
-- What stands in /*M! ... */ only MariaDB executes, what stands in /*!80020 ... */ only MySQL from that version on.
CREATE USER IF NOT EXISTS 'backup'@'%' IDENTIFIED BY 'change-me' REQUIRE SSL;

-- Tables, views, triggers and events of the database.
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `surgicase`.* TO 'backup'@'%';

-- Views that call functions can only be described by accounts that may call these. Grant just those that the
-- preflight asks for: EXECUTE on everything would let this account run procedures that change data.
-- GRANT EXECUTE ON FUNCTION `surgicase`.`open_cases_of` TO 'backup'@'%';

-- Bodies of routines that belong to other accounts; without it a dump leaves them out without an error.
-- (MariaDB from 11.3 on: SHOW CREATE ROUTINE ON `surgicase`.* is enough.)
/*M! GRANT SELECT ON `mysql`.`proc` TO 'backup'@'%' */;
/*!80020 GRANT SHOW_ROUTINE ON *.* TO 'backup'@'%' */;

-- One snapshot for the dump and its fingerprints: a global read lock, held for milliseconds.
GRANT RELOAD ON *.* TO 'backup'@'%';
-- Where RELOAD is not to be had (managed servers), read locks on this database's tables serve as well:
-- GRANT LOCK TABLES ON `surgicase`.* TO 'backup'@'%';

-- On MySQL, if you like: nobody changes definitions while a dump runs, ALTER TABLE and the like wait for its end.
-- GRANT BACKUP_ADMIN ON *.* TO 'backup'@'%';

-- On MySQL, if you like: see who else's statements run for long before the lock, and how much the server cannot purge.
-- GRANT PROCESS ON *.* TO 'backup'@'%';

-- The position in the binary log that belongs to the snapshot (MariaDB calls this privilege BINLOG MONITOR, too).
GRANT REPLICATION CLIENT ON *.* TO 'backup'@'%';

-- Only with `throttle.replication_lag_seconds` in the policy, and on MariaDB: how far this server lags as a replica.
-- (On MySQL, REPLICATION CLIENT is enough.)
-- GRANT SLAVE MONITOR ON *.* TO 'backup'@'%';

-- Only with `accounts: true` in the policy: the accounts of the server, with the hashes of their passwords.
-- GRANT SELECT ON `mysql`.* TO 'backup'@'%';
