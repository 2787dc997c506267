-- What only MySQL has.

CREATE INDEX ix_user_login_lower ON users ((LOWER(login)));

CREATE INDEX ix_case_tags ON cases ((CAST(details->'$.tags' AS CHAR(20) ARRAY)));
