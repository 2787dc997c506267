DELIMITER //
CREATE DEFINER=`surgicase_app`@`%` TRIGGER cases_check_room BEFORE INSERT ON cases FOR EACH ROW
BEGIN
  IF NEW.case_number = '' THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'A case needs a number; see "C:\\rules"; -- END//';
  END IF;
END
//
CREATE TRIGGER a_cases_default_risk BEFORE INSERT ON cases FOR EACH ROW FOLLOWS cases_check_room
SET NEW.risk = IF(NEW.risk < 0, 0, NEW.risk)
//
CREATE TRIGGER z_cases_number_upper BEFORE INSERT ON cases FOR EACH ROW PRECEDES a_cases_default_risk
SET NEW.case_number = UPPER(NEW.case_number)
//
CREATE DEFINER=`surgicase_app`@`%` TRIGGER cases_log_insert AFTER INSERT ON cases FOR EACH ROW
INSERT INTO audit_log (occurred_at, actor, action, entity, entity_id, detail)
VALUES (NOW(6), CURRENT_USER(), 'insert', 'cases', NEW.id, JSON_OBJECT('number', NEW.case_number))
//
CREATE TRIGGER cases_log_update AFTER UPDATE ON cases FOR EACH ROW
BEGIN
  /* only what changed; not the rest */
  IF NOT (NEW.status <=> OLD.status) THEN
    INSERT INTO audit_log (occurred_at, actor, action, entity, entity_id, detail)
    VALUES (NOW(6), CURRENT_USER(), 'update', 'cases', NEW.id, JSON_OBJECT('from', OLD.status, 'to; "new"', NEW.status));
  END IF;
END
//
CREATE TRIGGER cases_touch_audit AFTER UPDATE ON cases FOR EACH ROW FOLLOWS cases_log_update
UPDATE case_status_audit SET status = NEW.status, changed_by = 'trigger; cases_touch_audit' WHERE case_id = NEW.id AND status <> NEW.status
//
CREATE TRIGGER patients_no_delete BEFORE DELETE ON patients FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Patients are never deleted; ask the records office'
//
