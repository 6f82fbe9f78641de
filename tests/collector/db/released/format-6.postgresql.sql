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
CREATE TABLE change_sets (
    rollout_id bigint NOT NULL,
    number integer NOT NULL,
    changes text NOT NULL
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
CREATE TABLE package_sets (
    id bigint NOT NULL,
    digest text NOT NULL,
    packages text NOT NULL,
    many integer NOT NULL
);
CREATE SEQUENCE package_sets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE package_sets_id_seq OWNED BY package_sets.id;
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
CREATE TABLE rollout_changes (
    rollout_id bigint NOT NULL,
    "position" integer NOT NULL,
    action text NOT NULL,
    name text NOT NULL,
    shown_as text NOT NULL,
    before text,
    after text,
    virtualenvs integer NOT NULL,
    deployed integer NOT NULL
);
CREATE TABLE rollout_virtualenvs (
    rollout_id bigint NOT NULL,
    "position" integer NOT NULL,
    virtualenv_id bigint NOT NULL,
    status text NOT NULL,
    deployment text,
    set_number integer,
    changes integer NOT NULL,
    interpreter text,
    digest text,
    drift_packages bigint,
    drift_files bigint,
    drift_since bigint,
    migrated text,
    message text NOT NULL,
    seconds double precision
);
CREATE TABLE rollouts (
    id bigint NOT NULL,
    rollout text NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    task text NOT NULL,
    who text NOT NULL,
    origin text NOT NULL,
    command text NOT NULL,
    version text NOT NULL,
    began bigint NOT NULL,
    ended bigint,
    heard_at bigint NOT NULL,
    slice text,
    log text,
    approved_by text NOT NULL,
    out_of_service text NOT NULL,
    virtualenvs integer NOT NULL,
    statuses text NOT NULL,
    packages integer NOT NULL,
    main_changes text NOT NULL
);
CREATE SEQUENCE rollouts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rollouts_id_seq OWNED BY rollouts.id;
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
CREATE TABLE virtualenvs (
    id bigint NOT NULL,
    key text NOT NULL,
    host text NOT NULL,
    owner text NOT NULL,
    path text NOT NULL,
    rollout_id bigint NOT NULL,
    began bigint NOT NULL,
    status text NOT NULL,
    known_at bigint,
    interpreter text,
    digest text,
    package_set_id bigint,
    drift_packages bigint,
    drift_files bigint,
    drift_since bigint
);
CREATE SEQUENCE virtualenvs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE virtualenvs_id_seq OWNED BY virtualenvs.id;
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
ALTER TABLE ONLY package_sets ALTER COLUMN id SET DEFAULT nextval('package_sets_id_seq'::regclass);
ALTER TABLE ONLY reports ALTER COLUMN id SET DEFAULT nextval('reports_id_seq'::regclass);
ALTER TABLE ONLY rollouts ALTER COLUMN id SET DEFAULT nextval('rollouts_id_seq'::regclass);
ALTER TABLE ONLY updates ALTER COLUMN id SET DEFAULT nextval('updates_id_seq'::regclass);
ALTER TABLE ONLY virtualenvs ALTER COLUMN id SET DEFAULT nextval('virtualenvs_id_seq'::regclass);
ALTER TABLE ONLY vulnerabilities ALTER COLUMN id SET DEFAULT nextval('vulnerabilities_id_seq'::regclass);
INSERT INTO applications VALUES (3, 'u2', 7, 'sh''op', 'http://web2.example.org', 'python-3.11.7', 1795758925256, 1795758925256, 2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO applications VALUES (1, 'u1', 7, 'shop', 'http://web1.example.org', 'python-3.11.7', 1795758925234, 1795758925248, 2, 1, NULL, NULL, NULL, 'abababababababababababababababababababababababababababababababab', NULL, 1, 2, 1769480520000, '{"since": "2026-01-27T03:22:00+01:00", "package_count": 1, "file_count": 2, "packages": [{"n": "Django", "before": "5.1.3", "after": "5.1.2"}], "files": [{"n": "asgiref", "count": 2}]}');
INSERT INTO behind_weeks VALUES (20416, 1, 2, 1, NULL);
INSERT INTO change_sets VALUES (1, 0, '[["upgrade", "Django", "5.1", "5.2"]]');
INSERT INTO changes VALUES (2, 'django', 'Django', '5.1.2', '5.1.3');
INSERT INTO counters VALUES ('prog', 20784, 'saved', '', 7);
INSERT INTO envfab_format VALUES (6);
INSERT INTO envfab_revision VALUES ('6');
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
INSERT INTO package_sets VALUES (1, '4c9784da2e6bfcfb05048872a3dd91e8e05e28480ab5bddb3a7216dd5fd9ef81', '{"Django": "5.2", "asgiref": "3.8.1"}', 2);
INSERT INTO published_weeks VALUES ('prog', 20779, '{}');
INSERT INTO reports VALUES (1, 'prog', '20261127T055525.262827317Z-cfb3597f.txt', 1795758925262, 1763680000250, NULL, 45, NULL);
INSERT INTO rollout_changes VALUES (1, 0, 'upgrade', 'django', 'Django', '5.1', '5.2', 1, 1);
INSERT INTO rollout_virtualenvs VALUES (1, 0, 1, 'deployed', NULL, 0, 1, 'CPython 3.11.7', 'abababababababababababababababababababababababababababababababab', NULL, NULL, NULL, NULL, '', NULL);
INSERT INTO rollouts VALUES (1, '20261120-214900-9f3a', 2, 'ended', 'deploy', 'anna', 'laptop', 'fab deploy --yes', '1.0', 1795786620000, 1795786860000, 1795786920156, NULL, NULL, '[]', '[]', 1, '{"deployed": 1}', 1, '[["upgrade", "Django", "5.1", "5.2", 1]]');
INSERT INTO sessions VALUES ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1795758924463);
INSERT INTO updates VALUES (1, 1, 1795758925234, true, 2);
INSERT INTO updates VALUES (2, 1, 1795758925248, false, 2);
INSERT INTO updates VALUES (3, 3, 1795758925256, true, 2);
INSERT INTO usage_counts VALUES ('prog', 20784, '', '', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'user', 'someone', 1);
INSERT INTO usage_counts VALUES ('prog', 20784, 'version', '1.2', 1);
INSERT INTO virtualenvs VALUES (1, 'c2c261ba98ab718fb2fdf8823f72082f3c8bfd2818ec612909a32dc944d11881', 'web1', 'shop', '/srv/shop', 1, 1795786620000, 'deployed', 1795786920156, 'CPython 3.11.7', 'abababababababababababababababababababababababababababababababab', 1, NULL, NULL, NULL);
INSERT INTO vulnerabilities VALUES (1, 'CVE-2026-1', 1795758924463, 'high', 3, 7.5, 'It''s bad');
INSERT INTO vulnerability_names VALUES ('cve-2026-1', 'CVE-2026-1', 1);
SELECT pg_catalog.setval('applications_id_seq', 3, true);
SELECT pg_catalog.setval('finding_events_id_seq', 1, true);
SELECT pg_catalog.setval('findings_id_seq', 1, true);
SELECT pg_catalog.setval('package_sets_id_seq', 1, true);
SELECT pg_catalog.setval('reports_id_seq', 1, true);
SELECT pg_catalog.setval('rollouts_id_seq', 1, true);
SELECT pg_catalog.setval('updates_id_seq', 3, true);
SELECT pg_catalog.setval('virtualenvs_id_seq', 1, true);
SELECT pg_catalog.setval('vulnerabilities_id_seq', 1, true);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);
ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_uuid_key UNIQUE (uuid);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_pkey PRIMARY KEY (application_id, week);
ALTER TABLE ONLY change_sets
    ADD CONSTRAINT change_sets_pkey PRIMARY KEY (rollout_id, number);
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
ALTER TABLE ONLY package_sets
    ADD CONSTRAINT package_sets_digest_key UNIQUE (digest);
ALTER TABLE ONLY package_sets
    ADD CONSTRAINT package_sets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY published_weeks
    ADD CONSTRAINT published_weeks_pkey PRIMARY KEY (program, week);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (id);
ALTER TABLE ONLY reports
    ADD CONSTRAINT reports_program_file_key UNIQUE (program, file);
ALTER TABLE ONLY rollout_changes
    ADD CONSTRAINT rollout_changes_pkey PRIMARY KEY (rollout_id, "position");
ALTER TABLE ONLY rollout_virtualenvs
    ADD CONSTRAINT rollout_virtualenvs_pkey PRIMARY KEY (rollout_id, "position");
ALTER TABLE ONLY rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rollouts
    ADD CONSTRAINT rollouts_rollout_key UNIQUE (rollout);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (cookie);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_pkey PRIMARY KEY (id);
ALTER TABLE ONLY usage_counts
    ADD CONSTRAINT usage_counts_pkey PRIMARY KEY (key, day, program, value);
ALTER TABLE ONLY virtualenvs
    ADD CONSTRAINT virtualenvs_key_key UNIQUE (key);
ALTER TABLE ONLY virtualenvs
    ADD CONSTRAINT virtualenvs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vulnerabilities
    ADD CONSTRAINT vulnerabilities_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vulnerability_names
    ADD CONSTRAINT vulnerability_names_pkey PRIMARY KEY (key);
CREATE INDEX findings_by_application ON findings USING btree (application_id, ended_at);
CREATE INDEX findings_by_event ON findings USING btree (event_id);
CREATE INDEX findings_by_package ON findings USING btree (package, ended_at);
CREATE INDEX findings_by_time ON findings USING btree (first_seen, id);
CREATE INDEX findings_by_vulnerability ON findings USING btree (vulnerability_id, ended_at);
CREATE INDEX installed_by_version ON installed USING btree (name, version, newer_house, newer_index, shown_as, compared);
CREATE INDEX ix_virtualenvs_host ON virtualenvs USING btree (host);
CREATE INDEX ix_virtualenvs_package_set_id ON virtualenvs USING btree (package_set_id);
CREATE INDEX ix_virtualenvs_rollout_id ON virtualenvs USING btree (rollout_id);
CREATE INDEX ix_vulnerability_names_vulnerability_id ON vulnerability_names USING btree (vulnerability_id);
CREATE INDEX reports_by_arrival ON reports USING btree (at);
CREATE INDEX reports_by_time ON reports USING btree (program, at);
CREATE INDEX reports_by_user ON reports USING btree ("user", program, at DESC);
CREATE INDEX rollout_changes_by_package ON rollout_changes USING btree (name, rollout_id);
CREATE INDEX rollout_virtualenvs_by_virtualenv ON rollout_virtualenvs USING btree (virtualenv_id, rollout_id);
CREATE INDEX rollouts_by_time ON rollouts USING btree (began, id);
CREATE INDEX updates_by_application ON updates USING btree (application_id, at);
CREATE INDEX updates_by_time ON updates USING btree (at);
CREATE INDEX usage_counts_by_value ON usage_counts USING btree (key, value, day, program, reports);
ALTER TABLE ONLY behind_weeks
    ADD CONSTRAINT behind_weeks_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY change_sets
    ADD CONSTRAINT change_sets_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES rollouts(id);
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
ALTER TABLE ONLY rollout_changes
    ADD CONSTRAINT rollout_changes_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES rollouts(id);
ALTER TABLE ONLY rollout_virtualenvs
    ADD CONSTRAINT rollout_virtualenvs_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES rollouts(id);
ALTER TABLE ONLY rollout_virtualenvs
    ADD CONSTRAINT rollout_virtualenvs_virtualenv_id_fkey FOREIGN KEY (virtualenv_id) REFERENCES virtualenvs(id);
ALTER TABLE ONLY updates
    ADD CONSTRAINT updates_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);
ALTER TABLE ONLY virtualenvs
    ADD CONSTRAINT virtualenvs_package_set_id_fkey FOREIGN KEY (package_set_id) REFERENCES package_sets(id);
ALTER TABLE ONLY virtualenvs
    ADD CONSTRAINT virtualenvs_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES rollouts(id);
ALTER TABLE ONLY vulnerability_names
    ADD CONSTRAINT vulnerability_names_vulnerability_id_fkey FOREIGN KEY (vulnerability_id) REFERENCES vulnerabilities(id);
