-- What MariaDB has since 11.5: no server before it takes this.

CREATE TABLE vectors (id int PRIMARY KEY, v vector(3) NOT NULL, w vector(1) COMMENT 'it''s', VECTOR KEY `near ☎` (v) `M`=8 `DISTANCE`=cosine)

INSERT INTO vectors VALUES
  (1, VEC_FromText('[1, -2, 3.5]'), VEC_FromText('[3.4e38]')), (2, VEC_FromText('[0, 0, 1e-45]'), NULL)

CREATE TABLE `until 2106` (id int PRIMARY KEY, t timestamp NULL, t6 timestamp(6) NULL)

INSERT INTO `until 2106` VALUES (1, '2038-01-19 03:14:08', '2106-02-07 06:28:15.999999'), (2, '2106-02-07 06:28:15', NULL), (3, NULL, NULL)

CREATE TABLE identified (id uuid DEFAULT UUID_v7() PRIMARY KEY, n int)

INSERT INTO identified VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', NULL)

CREATE SEQUENCE `of bytes` AS tinyint unsigned MAXVALUE 254 CYCLE

CREATE SEQUENCE `beyond the sign` AS bigint unsigned START WITH 18446744073709551600

DO NEXTVAL(`beyond the sign`)

CREATE PROCEDURE `with defaults`(a int DEFAULT 1, b varchar(9) DEFAULT 'it''s; \\') SELECT a, b
