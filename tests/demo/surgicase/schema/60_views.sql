-- Some views sort before the views that they read, so a dump cannot create them in the order of their names.

CREATE VIEW v_open_cases AS
  SELECT c.id, c.case_number, c.patient_id, c.surgeon_id, c.status, c.priority, c.scheduled_at, c.scheduled_on
    FROM cases c WHERE c.status NOT IN ('closed', 'cancelled');

CREATE DEFINER=`surgicase_app`@`%` SQL SECURITY INVOKER VIEW v_surgeon_load AS
  SELECT s.id, CONCAT(s.last_name, ' ', s.first_name) AS surgeon, COUNT(o.id) AS open_cases, MIN(o.scheduled_at) AS next_at
    FROM surgeons s LEFT JOIN v_open_cases o ON o.surgeon_id = s.id GROUP BY s.id, s.last_name, s.first_name;

CREATE VIEW a_daily_board AS
  SELECT l.surgeon, l.open_cases, o.case_number, open_cases_of(o.patient_id) AS of_patient
    FROM v_surgeon_load l JOIN v_open_cases o ON o.surgeon_id = l.id;

CREATE ALGORITHM=MERGE VIEW v_urgent_cases AS
  SELECT id, case_number, status, priority FROM cases WHERE priority >= 4
  WITH CASCADED CHECK OPTION;

CREATE DEFINER=`surgicase_app`@`%` VIEW v_tricky_text AS
  SELECT id, CONCAT(name, '; -- not a comment') AS label, 'it''s; "/* no comment */" \\ back`tick' AS `odd;column -- name`,
         'line\nbreak; # hash' AS hash
    FROM hospitals WHERE name <> '--;' AND name NOT LIKE '%;%';

CREATE ALGORITHM=TEMPTABLE VIEW `v Übersicht 概要` AS
  SELECT t.`größe` AS `Größe`, t.`日付`, s.`how are you?`, s.`% satisfied`
    FROM `überweisungen 診療` t JOIN `patient survey 2024` s ON s.`% satisfied` > t.`größe`;

CREATE VIEW v_invoice_mismatch AS
  SELECT i.id, i.total, COALESCE(SUM(l.amount), 0) AS lines_total, COUNT(l.line) AS lines_found
    FROM invoices i LEFT JOIN invoice_lines l ON l.invoice_id = i.id
   GROUP BY i.id, i.total, i.line_count
  HAVING i.total <> lines_total OR i.line_count <> lines_found;
