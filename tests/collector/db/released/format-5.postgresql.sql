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
    behind integer NOT NULL,
    compared integer,
    vulnerable integer,
    unchecked integer,
    digest text,
    siblings text,
    drift_packages integer,
    drift_files integer,
    drift_since bigint,
    drift text
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
    behind integer NOT NULL,
    compared integer
);
CREATE TABLE changes (
    update_id bigint NOT NULL,
    name text NOT NULL,
    shown_as text NOT NULL,
    before text,
    after text
);
CREATE TABLE counters (
    program text NOT NULL,
    day integer NOT NULL,
    name text NOT NULL,
    value text NOT NULL,
    total bigint NOT NULL
);
CREATE TABLE envfab_format (
    format integer NOT NULL
);
CREATE TABLE envfab_revision (
    version_num character varying(32) NOT NULL
);
CREATE TABLE erased_files (
    program text NOT NULL,
    file text NOT NULL,
    person text NOT NULL
);
CREATE TABLE erasures (
    person text NOT NULL,
    proof text NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE event_deliveries (
    event_id bigint NOT NULL,
    receiver text NOT NULL,
    due_at bigint NOT NULL,
    tries integer NOT NULL,
    sent_at bigint
);
CREATE TABLE finding_events (
    id bigint NOT NULL,
    message text NOT NULL,
    at bigint NOT NULL
);
CREATE SEQUENCE finding_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE finding_events_id_seq OWNED BY finding_events.id;
CREATE TABLE findings (
    id bigint NOT NULL,
    vulnerability_id bigint NOT NULL,
    application_id bigint NOT NULL,
    package text NOT NULL,
    version text NOT NULL,
    fixed text NOT NULL,
    first_seen bigint NOT NULL,
    ended_at bigint,
    event_id bigint
);
CREATE SEQUENCE findings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE findings_id_seq OWNED BY findings.id;
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
    newer_index text,
    latest_house text,
    latest_index text,
    compared boolean
);
CREATE TABLE published_weeks (
    program text NOT NULL,
    week integer NOT NULL,
    shown text NOT NULL
);
CREATE TABLE reports (
    id bigint NOT NULL,
    program text NOT NULL,
    file text NOT NULL,
    at bigint NOT NULL,
    date bigint NOT NULL,
    "user" text,
    size integer NOT NULL,
    proof text
);
CREATE SEQUENCE reports_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE reports_id_seq OWNED BY reports.id;
CREATE TABLE sessions (
    cookie text NOT NULL,
    token text NOT NULL,
    ends_at bigint NOT NULL
);
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
CREATE TABLE vulnerabilities (
    id bigint NOT NULL,
    name text NOT NULL,
    first_seen bigint NOT NULL,
    severity text NOT NULL,
    rank integer NOT NULL,
    score double precision,
    summary text NOT NULL
);
CREATE SEQUENCE vulnerabilities_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE vulnerabilities_id_seq OWNED BY vulnerabilities.id;
CREATE TABLE vulnerability_names (
    key text NOT NULL,
    name text NOT NULL,
    vulnerability_id bigint NOT NULL
);
ALTER TABLE ONLY applications ALTER COLUMN id SET DEFAULT nextval('applications_id_seq'::regclass);
ALTER TABLE ONLY finding_events ALTER COLUMN id SET DEFAULT nextval('finding_events_id_seq'::regclass);
ALTER TABLE ONLY findings ALTER COLUMN id SET DEFAULT nextval('findings_id_seq'::regclass);
ALTER TABLE ONLY reports ALTER COLUMN id SET DEFAULT nextval('reports_id_seq'::regclass);
ALTER TABLE ONLY updates ALTER COLUMN id SET DEFAULT nextval('updates_id_seq'::regclass);
ALTER TABLE ONLY vulnerabilities ALTER COLUMN id SET DEFAULT nextval('vulnerabilities_id_seq'::regclass);
INSERT INTO applications VALUES (3, 'u2', 7, 'sh''op', 'http://web2.example.org', 'python-3.11.7', 1795758925256, 1795758925256, 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO applications VALUES (1, 'u1', 7, 'shop', 'http://web1.example.org', 'python-3.11.7', 1795758925234, 1795758925248, 2, 1, NULL, 1, NULL, 'abababababababababababababababababababababababababababababababab', NULL, 1, 2, 1769480520000, '{"since": "2026-01-27T03:22:00+01:00", "package_count": 1, "file_count": 2, "packages": [{"n": "Django", "before": "5.1.3", "after": "5.1.2"}], "files": [{"n": "asgiref", "count": 2}]}');
INSERT INTO behind_weeks VALUES (20416, 1, 2, 1, NULL);
INSERT INTO changes VALUES (2, 'django', 'Django', '5.1.2', '5.1.3');
INSERT INTO counters VALUES ('prog', 20784, 'saved', '', 7);
INSERT INTO envfab_format VALUES (5);
INSERT INTO envfab_revision VALUES ('5');
INSERT INTO erased_files VALUES ('prog', 'gone.txt', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee');
INSERT INTO erasures VALUES ('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 1795758924463);
INSERT INTO event_deliveries VALUES (1, 'webhook', 1795758924463, 1, NULL);
INSERT INTO finding_events VALUES (1, '{}', 1795758924463);
INSERT INTO findings VALUES (1, 1, 1, 'django', '5.1.3', '["5.1.4"]', 1795758924463, NULL, 1);
INSERT INTO index_projects VALUES ('django', 1763680000250, '[["5.2.1", ">=3.10"]]');
INSERT INTO installed VALUES (1, 'asgiref', 'asgiref', '3.8.1', NULL, NULL, NULL, NULL, NULL);
INSERT INTO installed VALUES (3, 'it''s; "quoted"', 'It''s; "quoted"', '1.0', NULL, NULL, NULL, NULL, NULL);
INSERT INTO installed VALUES (1, 'django', 'Django', '5.1.3', '5.1.4', '5.2.1', NULL, NULL, NULL);
INSERT INTO installed VALUES (3, 'django', 'Django', '4.2.1', '5.1.4', '5.2.1', NULL, NULL, NULL);
INSERT INTO published_weeks VALUES ('prog', 20779, '{}');
INSERT INTO reports VALUES (1, 'prog', '20261127T055525.262827317Z-cfb3597f.txt', 1795758925262, 1763680000250, NULL, 45, NULL);
INSERT INTO sessions VALUES ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1795758924463);
INSERT INTO updates VALUES (1, 1, 1795758925234, true, 2);
INSERT INTO updates VALUES (2, 1, 1795758925248, false, 2);
INSERT INTO updates VALUES (3, 3, 1795758925256, true, 2);
INSERT INTO usage_counts VALUES ('prog', 20784, '', '', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'user', 'someone', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'version', '1.2', 1);
INSERT INTO vulnerabilities VALUES (1, 'CVE-2026-1', 1795758924463, 'high', 3, 7.5, 'It''s bad');
INSERT INTO vulnerability_names VALUES ('cve-2026-1', 'CVE-2026-1', 1);
SELECT pg_catalog.setval('applications_id_seq', 3, true);
SELECT pg_catalog.setval('finding_events_id_seq', 1, true);
SELECT pg_catalog.setval('findings_id_seq', 1, true);
SELECT pg_catalog.setval('reports_id_seq', 1, true);
SELECT pg_catalog.setval('updates_id_seq', 3, true);
SELECT pg_catalog.setval('vulnerabilities_id_seq', 1, true);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_uuid_key UNIQUE (uuid);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_pkey PRIMARY KEY (application_id, week);
ALTER TABLE ONLY changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (update_id, name);
ALTER TABLE ONLY counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (program, day, name, value);
ALTER TABLE ONLY envfab_revision
    ADD CONSTRAINT envfab_revision_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY erased_files
    ADD CONSTRAINT erased_files_pkey PRIMARY KEY (program, file);
ALTER TABLE ONLY erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (person, proof);
ALTER TABLE ONLY event_deliveries
    ADD CONSTRAINT event_deliveries_pkey PRIMARY KEY (event_id, receiver);
ALTER TABLE ONLY finding_events
    ADD CONSTRAINT finding_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY index_projects
    ADD CONSTRAINT index_projects_pkey PRIMARY KEY (name);
ALTER TABLE ONLY installed
    ADD CONSTRAINT installed_pkey PRIMARY KEY (application_id, name);
ALTER TABLE ONLY published_weeks
    ADD CONSTRAINT published_weeks_pkey PRIMARY KEY (program, week);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (id);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_program_file_key UNIQUE (program, file);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (cookie);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_pkey PRIMARY KEY (id);
ALTER TABLE ONLY usage_counts
    ADD CONSTRAINT usage_counts_pkey PRIMARY KEY (key, day, program, value);
ALTER TABLE ONLY vulnerabilities
    ADD CONSTRAINT vulnerabilities_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vulnerability_names
    ADD CONSTRAINT vulnerability_names_pkey PRIMARY KEY (key);
CREATE INDEX findings_by_application ON findings USING btree (application_id, ended_at);
CREATE INDEX findings_by_event ON findings USING btree (event_id);
CREATE INDEX findings_by_package ON findings USING btree (package, ended_at);
CREATE INDEX findings_by_vulnerability ON findings USING btree (vulnerability_id, ended_at);
CREATE INDEX installed_by_version ON installed USING btree (name, version, newer_house, newer_index, shown_as, compared);
CREATE INDEX ix_vulnerability_names_vulnerability_id ON vulnerability_names USING btree (vulnerability_id);
CREATE INDEX reports_by_time ON reports USING btree (program, at);
CREATE INDEX reports_by_user ON reports USING btree ("user", program);
CREATE INDEX updates_by_application ON updates USING btree (application_id, at);
CREATE INDEX updates_by_time ON updates USING btree (at);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY changes
    ADD CONSTRAINT changes_update_id_fkey FOREIGN KEY (update_id) REFERENCES updates(id);
ALTER TABLE ONLY event_deliveries
    ADD CONSTRAINT event_deliveries_event_id_fkey FOREIGN KEY (event_id) REFERENCES finding_events(id);
ALTER TABLE ONLY findings
    ADD CONSTRAINT findings_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id) ON DELETE CASCADE;
ALTER TABLE ONLY findings
    ADD CONSTRAINT findings_vulnerability_id_fkey FOREIGN KEY (vulnerability_id) REFERENCES vulnerabilities(id);
ALTER TABLE ONLY installed
    ADD CONSTRAINT installed_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY vulnerability_names
    ADD CONSTRAINT vulnerability_names_vulnerability_id_fkey FOREIGN KEY (vulnerability_id) REFERENCES vulnerabilities(id);
