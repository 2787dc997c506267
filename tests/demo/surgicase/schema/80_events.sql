DELIMITER //
-- Never two semicolons in a row in an event's body: mysqldump and mariadb-dump look for a delimiter that does not
-- occur in it, and then never end.
CREATE DEFINER=`surgicase_app`@`%` EVENT purge_sessions
  ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 03:30:00'
  ON COMPLETION PRESERVE ENABLE
  COMMENT 'enabled; first run in 2037'
DO BEGIN
  DELETE FROM user_sessions WHERE closed_at < NOW() - INTERVAL 90 DAY; -- old ones; only
  DELETE FROM alarm_events WHERE message = 'DELIMITER $$; ' LIMIT 100;
END
//
CREATE EVENT monthly_rollup
  ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2036-02-01 00:00:00' ENDS '2037-12-31 23:59:59'
  ON COMPLETION NOT PRESERVE DISABLE
  COMMENT 'it''s disabled'
DO INSERT INTO audit_log (occurred_at, actor, action, entity, entity_id) VALUES (NOW(6), 'event; monthly_rollup', 'rollup', '', 0)
//
SET time_zone = '+05:30'
//
CREATE EVENT one_shot
  ON SCHEDULE AT '2037-06-30 12:00:00'
  ON COMPLETION PRESERVE ENABLE
DO UPDATE rooms SET floor = floor WHERE id = 0
//
SET time_zone = '+00:00'
//
