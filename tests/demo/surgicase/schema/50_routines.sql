DELIMITER //
CREATE DEFINER=`surgicase_app`@`%` FUNCTION mrn_check_digit(p_mrn VARCHAR(10) CHARSET ascii) RETURNS TINYINT
  DETERMINISTIC NO SQL
  COMMENT 'sum of digits, mod 10; it''s "weak"'
BEGIN
  DECLARE v_sum, v_at INT DEFAULT 0;
  adding: WHILE v_at < CHAR_LENGTH(p_mrn) DO
    SET v_at = v_at + 1;
    IF SUBSTRING(p_mrn, v_at, 1) NOT REGEXP '[0-9]' THEN ITERATE adding; END IF;
    SET v_sum = v_sum + SUBSTRING(p_mrn, v_at, 1);
  END WHILE;
  RETURN v_sum % 10;
END
//
CREATE FUNCTION age_on(p_born DATE, p_day DATE) RETURNS SMALLINT
  DETERMINISTIC CONTAINS SQL
  SQL SECURITY INVOKER
RETURN IF(MONTH(p_born) = 0, NULL, TIMESTAMPDIFF(YEAR, p_born, p_day))
//
CREATE FUNCTION open_cases_of(p_patient INT UNSIGNED) RETURNS INT
  READS SQL DATA
BEGIN
  -- DELIMITER ;;
  # END; -- $$ //; none of these ends the function
  DECLARE v_count INT;
  SELECT COUNT(*) INTO v_count FROM cases
   WHERE patient_id = p_patient /* ; DELIMITER $$ */
     AND status NOT IN ('closed', 'cancelled');
  RETURN v_count;
END
//
CREATE DEFINER=`surgicase_app`@`%` PROCEDURE close_case(IN p_case INT UNSIGNED, IN p_reason VARCHAR(200), OUT p_minutes INT)
  MODIFIES SQL DATA
  COMMENT 'closes; audits'
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    RESIGNAL;
  END;
  START TRANSACTION;
  UPDATE cases SET status = 'closed', closure_at = COALESCE(closure_at, incision_at) WHERE id = p_case;
  IF ROW_COUNT() = 0 THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'No such case; or closed already -- nothing done';
  END IF;
  UPDATE case_status_audit SET status = 'closed', reason = p_reason WHERE case_id = p_case;
  COMMIT;
  SELECT minutes INTO p_minutes FROM cases WHERE id = p_case;
END
//
CREATE PROCEDURE room_report(INOUT p_text TEXT, IN p_room SMALLINT UNSIGNED)
  READS SQL DATA
  SQL SECURITY INVOKER
BEGIN
  DECLARE v_done BIT DEFAULT b'0';
  DECLARE v_case CHAR(12);
  DECLARE c_cases CURSOR FOR
    SELECT c.case_number FROM schedules s JOIN cases c ON c.id = s.case_id WHERE s.room_id = p_room ORDER BY s.starts_at LIMIT 20;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = b'1';
  SET p_text = CONCAT(p_text, 'Room; ', p_room, ':\n', 'it''s a "report" with a back\\slash;
DELIMITER $$
-- still inside the string;
');
  OPEN c_cases;
  REPEAT
    FETCH c_cases INTO v_case;
    IF v_done = b'0' THEN SET p_text = CONCAT(p_text, v_case, ';;'); END IF;
  UNTIL v_done END REPEAT;
  CLOSE c_cases;
END
//
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'
//
CREATE FUNCTION "label for"("p name" VARCHAR(60), p_code INT) RETURNS VARCHAR(100)
  DETERMINISTIC COMMENT 'its meaning depends on the sql_mode it was created under'
RETURN 'C:\' || "p name" || '; ' || p_code
//
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES'
//
SET NAMES latin1 COLLATE latin1_german1_ci
//
CREATE FUNCTION plate_of(p_name VARCHAR(120)) RETURNS VARCHAR(130) CHARSET latin1
  DETERMINISTIC COMMENT 'created over a latin1 connection'
RETURN CONCAT('"', p_name, '"')
//
SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
//
