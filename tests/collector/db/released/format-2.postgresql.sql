CREATE TABLE applications (
    id bigint NOT NULL,
    uuid text NOT NULL,
    user_id bigint NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    type text NOT NULL,
    first_seen bigint NOT NULL,
    last_seen bigint NOT NULL,
    packages integer NOT NULL,
    behind integer NOT NULL
);
CREATE SEQUENCE applications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE applications_id_seq OWNED BY applications.id;
CREATE TABLE behind_weeks (
    week integer NOT NULL,
    application_id bigint NOT NULL,
    packages integer NOT NULL,
    behind integer NOT NULL
);
CREATE TABLE changes (
    update_id bigint NOT NULL,
    name text NOT NULL,
    shown_as text NOT NULL,
    before text,
    after text
);
CREATE TABLE envfab_format (
    format integer NOT NULL
);
CREATE TABLE index_projects (
    name text NOT NULL,
    due_at bigint NOT NULL,
    offers text NOT NULL
);
CREATE TABLE installed (
    application_id bigint NOT NULL,
    name text NOT NULL,
    shown_as text NOT NULL,
    version text NOT NULL,
    newer_house text,
    newer_index text
);
CREATE TABLE reports (
    id bigint NOT NULL,
    program text NOT NULL,
    file text NOT NULL,
    at bigint NOT NULL,
    date bigint NOT NULL,
    "user" text,
    size integer NOT NULL
);
CREATE SEQUENCE reports_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE reports_id_seq OWNED BY reports.id;
CREATE TABLE updates (
    id bigint NOT NULL,
    application_id bigint NOT NULL,
    at bigint NOT NULL,
    first boolean NOT NULL,
    packages integer NOT NULL
);
CREATE SEQUENCE updates_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE updates_id_seq OWNED BY updates.id;
CREATE TABLE usage_counts (
    program text NOT NULL,
    day integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    reports integer NOT NULL
);
ALTER TABLE ONLY applications ALTER COLUMN id SET DEFAULT nextval('applications_id_seq'::regclass);
ALTER TABLE ONLY reports ALTER COLUMN id SET DEFAULT nextval('reports_id_seq'::regclass);
ALTER TABLE ONLY updates ALTER COLUMN id SET DEFAULT nextval('updates_id_seq'::regclass);
INSERT INTO applications VALUES (1, 'u1', 7, 'shop', 'http://web1.example.org', 'python-3.11.7', 1795758922092, 1795758922108, 2, 1);
INSERT INTO applications VALUES (3, 'u2', 7, 'sh''op', 'http://web2.example.org', 'python-3.11.7', 1795758922115, 1795758922115, 2, 1);
INSERT INTO behind_weeks VALUES (20416, 1, 2, 1);
INSERT INTO changes VALUES (2, 'django', 'Django', '5.1.2', '5.1.3');
INSERT INTO envfab_format VALUES (2);
INSERT INTO index_projects VALUES ('django', 1763680000250, '[["5.2.1", ">=3.10"]]');
INSERT INTO installed VALUES (1, 'asgiref', 'asgiref', '3.8.1', NULL, NULL);
INSERT INTO installed VALUES (3, 'it''s; "quoted"', 'It''s; "quoted"', '1.0', NULL, NULL);
INSERT INTO installed VALUES (1, 'django', 'Django', '5.1.3', '5.1.4', '5.2.1');
INSERT INTO installed VALUES (3, 'django', 'Django', '4.2.1', '5.1.4', '5.2.1');
INSERT INTO reports VALUES (1, 'prog', '20261127T055522.121273277Z-a931d1a5.txt', 1795758922121, 1763680000250, NULL, 45);
INSERT INTO updates VALUES (1, 1, 1795758922092, true, 2);
INSERT INTO updates VALUES (2, 1, 1795758922108, false, 2);
INSERT INTO updates VALUES (3, 3, 1795758922115, true, 2);
INSERT INTO usage_counts VALUES ('prog', 20784, '', '', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'user', 'someone', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'version', '1.2', 1);
SELECT pg_catalog.setval('applications_id_seq', 3, true);
SELECT pg_catalog.setval('reports_id_seq', 1, true);
SELECT pg_catalog.setval('updates_id_seq', 3, true);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_uuid_key UNIQUE (uuid);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_pkey PRIMARY KEY (application_id, week);
ALTER TABLE ONLY changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (update_id, name);
ALTER TABLE ONLY index_projects
    ADD CONSTRAINT index_projects_pkey PRIMARY KEY (name);
ALTER TABLE ONLY installed
    ADD CONSTRAINT installed_pkey PRIMARY KEY (application_id, name);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (id);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_program_file_key UNIQUE (program, file);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_pkey PRIMARY KEY (id);
ALTER TABLE ONLY usage_counts
    ADD CONSTRAINT usage_counts_pkey PRIMARY KEY (key, day, program, value);
CREATE INDEX installed_by_version ON installed USING btree (name, version, newer_house, newer_index, shown_as);
CREATE INDEX reports_by_time ON reports USING btree (program, at);
CREATE INDEX updates_by_application ON updates USING btree (application_id, at);
CREATE INDEX updates_by_time ON updates USING btree (at);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY changes
    ADD CONSTRAINT changes_update_id_fkey FOREIGN KEY (update_id) REFERENCES updates(id);
ALTER TABLE ONLY installed
    ADD CONSTRAINT installed_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
