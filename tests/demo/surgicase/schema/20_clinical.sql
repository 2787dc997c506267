-- What is recorded about patients and cases (19 tables).

CREATE TABLE patients (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  mrn CHAR(10) CHARACTER SET ascii NOT NULL,
  ssn CHAR(11) CHARACTER SET ascii NOT NULL,
  first_name VARCHAR(60) NOT NULL,
  last_name VARCHAR(60) NOT NULL,
  full_name VARCHAR(122) GENERATED ALWAYS AS (CONCAT(last_name, ', ', first_name)) VIRTUAL,
  born_on DATE NOT NULL DEFAULT '0000-00-00' COMMENT 'day, month or all of it may be unknown: 1951-00-00',
  sex ENUM('','female','male','other') NOT NULL DEFAULT '',
  blood_type ENUM('A+','A-','B+','B-','AB+','AB-','0+','0-') NULL,
  organ_donor BIT(1) NULL,
  address VARCHAR(200) NOT NULL,
  email VARCHAR(120) NULL,
  remarks VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  preferences JSON NULL,
  registered_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_patient_mrn (mrn),
  KEY ix_patient_name (last_name, first_name),
  KEY ix_patient_born (born_on)
);

CREATE TABLE patient_contacts (
  patient_id INT UNSIGNED NOT NULL,
  kind ENUM('home','mobile','work','next of kin') NOT NULL,
  value VARCHAR(80) NOT NULL,
  PRIMARY KEY (patient_id, kind),
  CONSTRAINT fk_contact_patient FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
);

CREATE TABLE allergies (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  patient_id INT UNSIGNED NOT NULL,
  substance VARCHAR(60) NOT NULL,
  severity ENUM('mild','moderate','severe','life-threatening') NOT NULL,
  noted_on DATE NULL,
  PRIMARY KEY (id),
  CONSTRAINT fk_allergy_patient FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
);

CREATE TABLE insurance_policies (
  insurer_id SMALLINT UNSIGNED NOT NULL,
  policy_number VARCHAR(24) CHARACTER SET ascii NOT NULL,
  patient_id INT UNSIGNED NOT NULL,
  valid_from DATE NOT NULL,
  valid_until DATE NOT NULL DEFAULT '0000-00-00' COMMENT '0000-00-00: open-ended',
  copay DECIMAL(5,4) NOT NULL,
  PRIMARY KEY (insurer_id, policy_number),
  CONSTRAINT ck_policy_copay CHECK (copay BETWEEN 0 AND 1),
  CONSTRAINT fk_policy_insurer FOREIGN KEY (insurer_id) REFERENCES insurers (id),
  CONSTRAINT fk_policy_patient FOREIGN KEY (patient_id) REFERENCES patients (id)
);

CREATE TABLE cases (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_number CHAR(12) CHARACTER SET ascii NOT NULL,
  patient_id INT UNSIGNED NOT NULL,
  surgeon_id INT UNSIGNED NOT NULL,
  procedure_code CHAR(5) CHARACTER SET ascii NOT NULL,
  follow_up_of INT UNSIGNED NULL,
  status ENUM('requested','scheduled','in progress','closed','cancelled') NOT NULL DEFAULT 'requested',
  priority TINYINT UNSIGNED NOT NULL DEFAULT 3,
  scheduled_at DATETIME NOT NULL,
  incision_at DATETIME(6) NULL,
  closure_at DATETIME(6) NULL,
  scheduled_on DATE GENERATED ALWAYS AS (CAST(scheduled_at AS DATE)) STORED,
  minutes INT GENERATED ALWAYS AS (TIMESTAMPDIFF(MINUTE, incision_at, closure_at)) VIRTUAL,
  risk DOUBLE NOT NULL,
  estimate DECIMAL(12,2) NOT NULL,
  details JSON NOT NULL,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY uq_case_number (case_number),
  KEY ix_case_day (scheduled_on, status),
  KEY ix_case_newest (scheduled_at DESC),
  KEY ix_case_status (status, priority),
  CONSTRAINT ck_case_times CHECK (closure_at IS NULL OR closure_at >= incision_at),
  CONSTRAINT ck_case_priority CHECK (priority BETWEEN 1 AND 5),
  CONSTRAINT fk_case_patient FOREIGN KEY (patient_id) REFERENCES patients (id),
  CONSTRAINT fk_case_surgeon FOREIGN KEY (surgeon_id) REFERENCES surgeons (id),
  CONSTRAINT fk_case_procedure FOREIGN KEY (procedure_code) REFERENCES procedure_codes (code) ON UPDATE CASCADE,
  CONSTRAINT fk_case_follow_up FOREIGN KEY (follow_up_of) REFERENCES cases (id) ON DELETE SET NULL
);

-- MariaDB keeps every version of every row of this one, see mariadb.sql
CREATE TABLE case_status_audit (
  case_id INT UNSIGNED NOT NULL,
  status VARCHAR(20) NOT NULL,
  changed_by VARCHAR(64) NOT NULL,
  reason VARCHAR(200) NULL,
  PRIMARY KEY (case_id)
) /*M! WITH SYSTEM VERSIONING */;

CREATE TABLE case_staff (
  case_id INT UNSIGNED NOT NULL,
  staff_id INT UNSIGNED NOT NULL,
  duty VARCHAR(20) NOT NULL,
  hours DECIMAL(4,2) NULL,
  PRIMARY KEY (case_id, staff_id, duty),
  CONSTRAINT fk_case_staff_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE,
  CONSTRAINT fk_case_staff_staff FOREIGN KEY (staff_id) REFERENCES staff (id)
);

CREATE TABLE case_procedures (
  case_id INT UNSIGNED NOT NULL,
  position TINYINT UNSIGNED NOT NULL,
  procedure_code CHAR(5) CHARACTER SET ascii NOT NULL,
  laterality ENUM('left','right','both','n/a') NOT NULL,
  PRIMARY KEY (case_id, position),
  CONSTRAINT fk_case_procedure_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE,
  CONSTRAINT fk_case_procedure_code FOREIGN KEY (procedure_code) REFERENCES procedure_codes (code)
);

CREATE TABLE case_diagnoses (
  case_id INT UNSIGNED NOT NULL,
  diagnosis_code VARCHAR(8) CHARACTER SET ascii NOT NULL,
  present_on_admission BIT(1) NOT NULL,
  PRIMARY KEY (case_id, diagnosis_code),
  CONSTRAINT fk_case_diagnosis_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE,
  CONSTRAINT fk_case_diagnosis_code FOREIGN KEY (diagnosis_code) REFERENCES diagnosis_codes (code)
);

CREATE TABLE schedules (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_id INT UNSIGNED NOT NULL,
  room_id SMALLINT UNSIGNED NOT NULL,
  starts_at DATETIME NOT NULL,
  reserved TIME NOT NULL,
  confirmed_at TIMESTAMP(3) NULL DEFAULT NULL,
  PRIMARY KEY (id),
  KEY ix_schedule_room (room_id, starts_at),
  CONSTRAINT fk_schedule_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE,
  CONSTRAINT fk_schedule_room FOREIGN KEY (room_id) REFERENCES rooms (id)
);

CREATE TABLE consents (
  case_id INT UNSIGNED NOT NULL,
  kind ENUM('surgery','anaesthesia','blood products','research') NOT NULL,
  signed_at DATETIME(2) NOT NULL,
  revoked_at DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00' COMMENT 'zero: still valid',
  witness_id INT UNSIGNED NULL,
  document JSON NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (case_id, kind),
  CONSTRAINT fk_consent_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE,
  CONSTRAINT fk_consent_witness FOREIGN KEY (witness_id) REFERENCES staff (id)
);

CREATE TABLE clinical_notes (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_id INT UNSIGNED NOT NULL,
  author_id INT UNSIGNED NOT NULL,
  kind ENUM('pre-op','operative','anaesthesia','post-op','discharge') NOT NULL,
  tags SET('dictated','amended','sensitive','external') NOT NULL DEFAULT '',
  written_at DATETIME(6) NOT NULL,
  body MEDIUMTEXT NOT NULL,
  PRIMARY KEY (id),
  KEY ix_note_written (written_at),
  CONSTRAINT fk_note_case FOREIGN KEY (case_id) REFERENCES cases (id),
  CONSTRAINT fk_note_author FOREIGN KEY (author_id) REFERENCES staff (id)
);

CREATE TABLE images (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_id INT UNSIGNED NOT NULL,
  modality ENUM('XR','CT','MR','US','photo') NOT NULL,
  taken_at DATETIME(3) NOT NULL,
  pixels LONGBLOB NOT NULL,
  thumbnail TINYBLOB NULL,
  sha256 BINARY(32) NOT NULL COMMENT 'of pixels',
  PRIMARY KEY (id),
  CONSTRAINT fk_image_case FOREIGN KEY (case_id) REFERENCES cases (id)
);

CREATE TABLE vitals (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_id INT UNSIGNED NOT NULL COMMENT 'no foreign key: the monitors write faster than the office',
  recorded_at DATETIME(3) NOT NULL,
  heart_rate SMALLINT UNSIGNED NULL,
  systolic SMALLINT UNSIGNED NULL,
  diastolic SMALLINT UNSIGNED NULL,
  saturation TINYINT UNSIGNED NULL,
  temperature DECIMAL(4,1) NULL,
  PRIMARY KEY (id),
  KEY ix_vitals_case (case_id, recorded_at),
  KEY ix_vitals_time (recorded_at)
);

CREATE TABLE lab_results (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  patient_id INT UNSIGNED NOT NULL,
  analyte VARCHAR(20) NOT NULL,
  value DOUBLE NULL,
  unit VARCHAR(12) NOT NULL,
  reference_low DECIMAL(20,10) NULL,
  drawn_at DATETIME NOT NULL,
  PRIMARY KEY (id, patient_id),
  KEY ix_lab_patient (patient_id, drawn_at)
) PARTITION BY HASH (patient_id) PARTITIONS 4;

CREATE TABLE medications_given (
  case_id INT UNSIGNED NOT NULL,
  given_at DATETIME(1) NOT NULL,
  drug VARCHAR(40) NOT NULL,
  dose DECIMAL(12,6) NOT NULL,
  unit ENUM('mg','µg','mL','IU') NOT NULL,
  rate DOUBLE NULL,
  PRIMARY KEY (case_id, given_at, drug),
  CONSTRAINT fk_medication_case FOREIGN KEY (case_id) REFERENCES cases (id) ON DELETE CASCADE
);

CREATE TABLE implants (
  udi BINARY(16) NOT NULL COMMENT 'any byte may occur, also at the end',
  case_id INT UNSIGNED NOT NULL,
  serial VARBINARY(40) NOT NULL,
  maker VARCHAR(60) CHARACTER SET latin1 NOT NULL,
  sterile_until DATE NOT NULL DEFAULT '0000-00-00',
  PRIMARY KEY (udi),
  CONSTRAINT fk_implant_case FOREIGN KEY (case_id) REFERENCES cases (id)
);

CREATE TABLE alarm_events (
  case_id INT UNSIGNED NOT NULL,
  raised_at DATETIME NOT NULL,
  device VARCHAR(20) NOT NULL,
  level TINYINT NOT NULL,
  message VARCHAR(80) NULL,
  KEY ix_alarm_case (case_id)
) COMMENT='no primary key, and the same row may be there twice';

CREATE TABLE audit_log (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  occurred_at DATETIME(6) NOT NULL,
  actor VARCHAR(64) NOT NULL,
  action VARCHAR(20) NOT NULL,
  entity VARCHAR(30) NOT NULL,
  entity_id BIGINT UNSIGNED NOT NULL,
  detail JSON NULL,
  PRIMARY KEY (id, occurred_at),
  KEY ix_audit_entity (entity, entity_id)
) PARTITION BY RANGE (TO_DAYS(occurred_at)) (
  PARTITION p2023 VALUES LESS THAN (TO_DAYS('2024-01-01')) COMMENT = 'closed; do not touch',
  PARTITION p2024 VALUES LESS THAN (TO_DAYS('2025-01-01')),
  PARTITION p2025 VALUES LESS THAN (TO_DAYS('2026-01-01')),
  PARTITION later VALUES LESS THAN MAXVALUE
);
