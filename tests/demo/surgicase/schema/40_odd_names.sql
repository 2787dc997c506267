-- Small tables that break careless tools (6 tables).

CREATE TABLE `order` (
  `key` INT UNSIGNED NOT NULL,
  `select` VARCHAR(40) NOT NULL,
  `from` SMALLINT UNSIGNED NOT NULL,
  `group` INT NULL,
  `values` DECIMAL(10,2) NULL,
  PRIMARY KEY (`key`),
  KEY `index` (`group`),
  CONSTRAINT `references` FOREIGN KEY (`from`) REFERENCES suppliers (id)
);

CREATE TABLE `patient survey 2024` (
  `patient id` INT UNSIGNED NOT NULL,
  `how are you?` VARCHAR(60) NOT NULL DEFAULT 'it''s "fine"; thanks',
  `% satisfied` TINYINT UNSIGNED NULL,
  `tick``ed` BIT(1) NOT NULL DEFAULT b'1',
  `a;b` VARCHAR(20) NULL COMMENT 'semi;colon, ''quote'', "double", back\\slash',
  `-- remark` TEXT NULL,
  `"quoted"` VARCHAR(20) NULL,
  PRIMARY KEY (`patient id`),
  CONSTRAINT `fk survey` FOREIGN KEY (`patient id`) REFERENCES patients (id) ON DELETE CASCADE
);

CREATE TABLE `tray``s 100% contents.v1` (
  `tray``s id` INT NOT NULL,
  `C:\path` VARCHAR(40) NOT NULL,
  PRIMARY KEY (`tray``s id`)
) COMMENT='backtick, blank, percent sign and dot; DELIMITER ;;';

CREATE TABLE `überweisungen 診療` (
  `größe` DECIMAL(5,1) NOT NULL,
  `日付` DATE NOT NULL,
  `naïve` VARCHAR(40) NOT NULL,
  PRIMARY KEY (`日付`, `größe`)
) COMMENT='Zuweisungen – 紹介状';

-- MyISAM on purpose: it is in no snapshot. Nothing writes to it, so it stays consistent all the same.
CREATE TABLE legacy_tariffs (
  code CHAR(6) NOT NULL,
  points SMALLINT NOT NULL,
  label VARCHAR(60) NOT NULL,
  PRIMARY KEY (code)
) ENGINE=MyISAM DEFAULT CHARSET=latin1 COMMENT='MyISAM: not transactional; frozen since 2009';

CREATE TABLE waiting_list_2031 (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  patient_id INT UNSIGNED NOT NULL,
  wanted_on DATE NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT fk_waiting_patient FOREIGN KEY (patient_id) REFERENCES patients (id)
) AUTO_INCREMENT=5000 COMMENT='empty';
