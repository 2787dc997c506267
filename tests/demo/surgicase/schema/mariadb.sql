-- What only MariaDB has. (WITH SYSTEM VERSIONING is in 20_clinical.sql: adding it later would lose the clock.)

CREATE SEQUENCE mrn_seq START WITH 70000000 MINVALUE 1 MAXVALUE 99999999 INCREMENT BY 1 CACHE 50 NOCYCLE;

DO NEXTVAL(mrn_seq);

CREATE DEFINER=`surgicase_app`@`%` FUNCTION next_mrn() RETURNS CHAR(10) CHARSET ascii
  READS SQL DATA COMMENT 'takes a number; it stays taken' RETURN CONCAT('MR', NEXTVAL(mrn_seq));
