-- What MariaDB servers on the two sides of 11.5 cannot take from each other.

CREATE TABLE history (id int PRIMARY KEY, v varchar(9), free int WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING

INSERT INTO history VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)

UPDATE history SET v = 'x' WHERE id = 1

DELETE FROM history WHERE id = 3
