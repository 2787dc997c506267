-- Who and what there is: sites, people, rooms, equipment, payers, code lists (15 tables).
-- One source for both flavours: a comment that opens with "M!" runs on MariaDB only,
-- one that opens with "!80000" or more runs on MySQL only.

CREATE TABLE specialties (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  code CHAR(6) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(80) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_specialty_code (code)
) COMMENT='Row 0 means "none": an AUTO_INCREMENT column that really holds 0';

CREATE TABLE hospitals (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(120) NOT NULL,
  plate_name VARCHAR(120) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL COMMENT 'as engraved; 8-bit',
  location POINT NOT NULL /*!80003 SRID 0 */,
  catchment POLYGON NULL,
  opened YEAR NOT NULL,
  PRIMARY KEY (id),
  SPATIAL KEY sx_location (location)
) COMMENT='Sites; "St. Mary''s" is one; -- this is no comment, C:\\sites is no path';

CREATE TABLE departments (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  hospital_id SMALLINT UNSIGNED NOT NULL,
  name VARCHAR(80) NOT NULL,
  head_surgeon_id INT UNSIGNED NULL COMMENT 'closes the cycle departments -> surgeons -> departments',
  PRIMARY KEY (id),
  UNIQUE KEY uq_department (hospital_id, name),
  CONSTRAINT fk_department_hospital FOREIGN KEY (hospital_id) REFERENCES hospitals (id),
  CONSTRAINT fk_department_head FOREIGN KEY (head_surgeon_id) REFERENCES surgeons (id) ON DELETE SET NULL
);

CREATE TABLE surgeons (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  department_id SMALLINT UNSIGNED NOT NULL,
  specialty_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  npi CHAR(10) CHARACTER SET ascii NOT NULL,
  first_name VARCHAR(60) NOT NULL,
  last_name VARCHAR(60) NOT NULL,
  licensed YEAR NOT NULL,
  signature VARBINARY(64) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_surgeon_npi (npi),
  KEY ix_surgeon_name (last_name, first_name),
  CONSTRAINT fk_surgeon_department FOREIGN KEY (department_id) REFERENCES departments (id),
  CONSTRAINT fk_surgeon_specialty FOREIGN KEY (specialty_id) REFERENCES specialties (id)
);

CREATE TABLE staff (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  manager_id INT UNSIGNED NULL,
  department_id SMALLINT UNSIGNED NOT NULL,
  full_name VARCHAR(120) NOT NULL,
  role ENUM('nurse','anaesthetist','technician','scrub','porter','it''s "other"') NOT NULL,
  skills SET('ACLS','PALS','BLS','laser','robot','perfusion') NOT NULL DEFAULT '',
  flags BIT(8) NOT NULL DEFAULT b'0',
  hourly_rate DECIMAL(7,2) NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT ck_staff_rate CHECK (hourly_rate >= 0),
  CONSTRAINT fk_staff_manager FOREIGN KEY (manager_id) REFERENCES staff (id),
  CONSTRAINT fk_staff_department FOREIGN KEY (department_id) REFERENCES departments (id)
);

CREATE TABLE shifts (
  staff_id INT UNSIGNED NOT NULL,
  works_on DATE NOT NULL,
  starts_at TIME NOT NULL,
  length TIME(3) NOT NULL COMMENT 'on-call blocks exceed 24 hours',
  correction TIME(6) NOT NULL DEFAULT '00:00:00' COMMENT 'may be negative',
  PRIMARY KEY (staff_id, works_on, starts_at),
  CONSTRAINT fk_shift_staff FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE CASCADE
);

CREATE TABLE users (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  login VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Anna and anna are two accounts',
  staff_id INT UNSIGNED NULL,
  password_hash BINARY(32) NOT NULL,
  password_salt VARBINARY(16) NOT NULL,
  second_factor VARBINARY(20) NOT NULL DEFAULT '' INVISIBLE,
  disabled BIT(1) NOT NULL DEFAULT b'0',
  PRIMARY KEY (id),
  UNIQUE KEY uq_user_login (login),
  UNIQUE KEY uq_user_staff (staff_id),
  CONSTRAINT fk_user_staff FOREIGN KEY (staff_id) REFERENCES staff (id)
);

CREATE TABLE user_sessions (
  id /*M! UUID */ /*!80000 CHAR(36) CHARACTER SET ascii */ NOT NULL,
  user_id INT UNSIGNED NOT NULL,
  client_address /*M! INET6 */ /*!80000 VARCHAR(45) */ NOT NULL,
  opened_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  closed_at TIMESTAMP NULL DEFAULT NULL,
  PRIMARY KEY (id),
  CONSTRAINT fk_session_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE rooms (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  hospital_id SMALLINT UNSIGNED NOT NULL,
  code VARCHAR(12) NOT NULL,
  kind ENUM('operating','recovery','hybrid','scope') NOT NULL,
  fitted_with SET('laminar flow','C-arm','laser','robot','microscope') NOT NULL,
  floor TINYINT NOT NULL,
  area_m2 DECIMAL(6,2) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_room (hospital_id, code),
  CONSTRAINT fk_room_hospital FOREIGN KEY (hospital_id) REFERENCES hospitals (id)
);

CREATE TABLE equipment (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  parent_id INT UNSIGNED NULL,
  room_id SMALLINT UNSIGNED NULL,
  asset_tag VARCHAR(20) CHARACTER SET ascii NULL COMMENT 'unique, but many have none',
  name VARCHAR(80) NOT NULL,
  specification JSON NOT NULL,
  price DECIMAL(12,2) NOT NULL,
  maker VARCHAR(40) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(specification, '$.maker'))) VIRTUAL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_asset_tag (asset_tag),
  CONSTRAINT fk_equipment_parent FOREIGN KEY (parent_id) REFERENCES equipment (id),
  CONSTRAINT fk_equipment_room FOREIGN KEY (room_id) REFERENCES rooms (id)
);

CREATE TABLE equipment_checks (
  equipment_id INT UNSIGNED NOT NULL,
  checked_on DATE NOT NULL,
  next_due DATE NOT NULL DEFAULT '0000-00-00' COMMENT '0000-00-00: never again',
  took TIME(3) NOT NULL,
  reading DOUBLE NOT NULL,
  PRIMARY KEY (equipment_id, checked_on),
  CONSTRAINT fk_check_equipment FOREIGN KEY (equipment_id) REFERENCES equipment (id)
);

CREATE TABLE suppliers (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(80) NOT NULL,
  city VARCHAR(60) CHARACTER SET latin1 NOT NULL,
  terms TINYTEXT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=latin1;

CREATE TABLE insurers (
  id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(80) NOT NULL,
  balance_cents BIGINT NOT NULL COMMENT 'money only moves between insurers: the sum over all rows never changes',
  PRIMARY KEY (id)
);

CREATE TABLE procedure_codes (
  code CHAR(5) CHARACTER SET ascii NOT NULL,
  title VARCHAR(120) NOT NULL,
  relative_value DECIMAL(8,4) NOT NULL,
  minutes SMALLINT UNSIGNED NOT NULL,
  PRIMARY KEY (code),
  CONSTRAINT ck_procedure_minutes CHECK (minutes BETWEEN 1 AND 1440)
);

CREATE TABLE diagnosis_codes (
  code VARCHAR(8) CHARACTER SET ascii NOT NULL,
  title VARCHAR(160) NOT NULL,
  guidance TEXT NOT NULL,
  PRIMARY KEY (code),
  FULLTEXT KEY ft_diagnosis (title, guidance)
);
