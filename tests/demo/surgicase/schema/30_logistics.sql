-- Supplies and money (5 tables).

CREATE TABLE supplies (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  supplier_id SMALLINT UNSIGNED NOT NULL,
  name VARCHAR(80) NOT NULL,
  stock INT NOT NULL,
  unit_price DECIMAL(10,4) NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT fk_supply_supplier FOREIGN KEY (supplier_id) REFERENCES suppliers (id)
);

CREATE TABLE supply_usage (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  supply_id INT UNSIGNED NOT NULL,
  case_id INT UNSIGNED NOT NULL,
  quantity SMALLINT UNSIGNED NOT NULL,
  used_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT fk_usage_supply FOREIGN KEY (supply_id) REFERENCES supplies (id),
  CONSTRAINT fk_usage_case FOREIGN KEY (case_id) REFERENCES cases (id)
);

CREATE TABLE invoices (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  case_id INT UNSIGNED NOT NULL,
  insurer_id SMALLINT UNSIGNED NOT NULL,
  issued_on DATE NOT NULL,
  paid_on DATE NOT NULL DEFAULT '0000-00-00',
  line_count SMALLINT UNSIGNED NOT NULL,
  total DECIMAL(14,2) NOT NULL COMMENT 'always the sum of its lines, see v_invoice_mismatch',
  PRIMARY KEY (id),
  CONSTRAINT fk_invoice_case FOREIGN KEY (case_id) REFERENCES cases (id),
  CONSTRAINT fk_invoice_insurer FOREIGN KEY (insurer_id) REFERENCES insurers (id)
);

CREATE TABLE invoice_lines (
  invoice_id INT UNSIGNED NOT NULL,
  line SMALLINT UNSIGNED NOT NULL,
  text VARCHAR(120) NOT NULL,
  quantity DECIMAL(8,3) NOT NULL,
  unit_price DECIMAL(10,2) NOT NULL,
  amount DECIMAL(14,2) GENERATED ALWAYS AS (ROUND(quantity * unit_price, 2)) STORED,
  PRIMARY KEY (invoice_id, line),
  CONSTRAINT ck_line_quantity CHECK (quantity > 0),
  CONSTRAINT fk_line_invoice FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE CASCADE
);

CREATE TABLE payments (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  invoice_id INT UNSIGNED NOT NULL,
  received_at DATETIME(6) NOT NULL,
  amount DECIMAL(14,2) NOT NULL,
  reference VARCHAR(40) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_payment_reference (reference),
  CONSTRAINT fk_payment_invoice FOREIGN KEY (invoice_id) REFERENCES invoices (id)
);
