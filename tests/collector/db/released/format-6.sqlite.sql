BEGIN TRANSACTION;
CREATE TABLE applications (
	id INTEGER NOT NULL, 
	uuid TEXT NOT NULL, 
	user_id BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	type TEXT NOT NULL, 
	first_seen BIGINT NOT NULL, 
	last_seen BIGINT NOT NULL, 
	packages INTEGER NOT NULL, 
	behind INTEGER NOT NULL, 
	compared INTEGER, 
	vulnerable INTEGER, 
	unchecked INTEGER, 
	digest TEXT, 
	siblings TEXT, 
	drift_packages INTEGER, 
	drift_files INTEGER, 
	drift_since BIGINT, 
	drift TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (uuid)
);
INSERT INTO "applications" VALUES(1,'u1',7,'shop','http://web1.example.org','python-3.11.7',1795758924444,1795758924454,2,1,NULL,NULL,NULL,'abababababababababababababababababababababababababababababababab',NULL,1,2,1769480520000,'{"since": "2026-01-27T03:22:00+01:00", "package_count": 1, "file_count": 2, "packages": [{"n": "Django", "before": "5.1.3", "after": "5.1.2"}], "files": [{"n": "asgiref", "count": 2}]}');
INSERT INTO "applications" VALUES(2,'u2',7,'sh''op','http://web2.example.org','python-3.11.7',1795758924459,1795758924459,2,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE behind_weeks (
	week INTEGER NOT NULL, 
	application_id INTEGER NOT NULL, 
	packages INTEGER NOT NULL, 
	behind INTEGER NOT NULL, 
	compared INTEGER, 
	PRIMARY KEY (application_id, week), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "behind_weeks" VALUES(20416,1,2,1,NULL);
CREATE TABLE change_sets (
	rollout_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	changes TEXT NOT NULL, 
	PRIMARY KEY (rollout_id, number), 
	FOREIGN KEY(rollout_id) REFERENCES rollouts (id)
);
INSERT INTO "change_sets" VALUES(1,0,'[["upgrade", "Django", "5.1", "5.2"]]');
CREATE TABLE changes (
	update_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	shown_as TEXT NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	PRIMARY KEY (update_id, name), 
	FOREIGN KEY(update_id) REFERENCES updates (id)
);
INSERT INTO "changes" VALUES(2,'django','Django','5.1.2','5.1.3');
CREATE TABLE counters (
	program TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	total BIGINT NOT NULL, 
	PRIMARY KEY (program, day, name, value)
);
INSERT INTO "counters" VALUES('prog',20784,'saved','',7);
CREATE TABLE envfab_format (
	format INTEGER NOT NULL
);
INSERT INTO "envfab_format" VALUES(6);
CREATE TABLE envfab_revision (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT envfab_revision_pkc PRIMARY KEY (version_num)
);
INSERT INTO "envfab_revision" VALUES('6');
CREATE TABLE erased_files (
	program TEXT NOT NULL, 
	file TEXT NOT NULL, 
	person TEXT NOT NULL, 
	PRIMARY KEY (program, file)
);
INSERT INTO "erased_files" VALUES('prog','gone.txt','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee');
CREATE TABLE erasures (
	person TEXT NOT NULL, 
	proof TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (person, proof)
);
INSERT INTO "erasures" VALUES('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',1795758924463);
CREATE TABLE event_deliveries (
	event_id INTEGER NOT NULL, 
	receiver TEXT NOT NULL, 
	due_at BIGINT NOT NULL, 
	tries INTEGER NOT NULL, 
	sent_at BIGINT, 
	PRIMARY KEY (event_id, receiver), 
	FOREIGN KEY(event_id) REFERENCES finding_events (id)
);
INSERT INTO "event_deliveries" VALUES(1,'webhook',1795758924463,1,NULL);
CREATE TABLE finding_events (
	id INTEGER NOT NULL, 
	message TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "finding_events" VALUES(1,'{}',1795758924463);
CREATE TABLE findings (
	id INTEGER NOT NULL, 
	vulnerability_id INTEGER NOT NULL, 
	application_id INTEGER NOT NULL, 
	package TEXT NOT NULL, 
	version TEXT NOT NULL, 
	fixed TEXT NOT NULL, 
	first_seen BIGINT NOT NULL, 
	ended_at BIGINT, 
	event_id BIGINT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(vulnerability_id) REFERENCES vulnerabilities (id), 
	FOREIGN KEY(application_id) REFERENCES applications (id) ON DELETE CASCADE
);
INSERT INTO "findings" VALUES(1,1,1,'django','5.1.3','["5.1.4"]',1795758924463,NULL,1);
CREATE TABLE index_projects (
	name TEXT NOT NULL, 
	due_at BIGINT NOT NULL, 
	offers TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "index_projects" VALUES('django',1763680000250,'[["5.2.1", ">=3.10"]]');
CREATE TABLE installed (
	application_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	shown_as TEXT NOT NULL, 
	version TEXT NOT NULL, 
	newer_house TEXT, 
	newer_index TEXT, 
	latest_house TEXT, 
	latest_index TEXT, 
	compared BOOLEAN, 
	PRIMARY KEY (application_id, name), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "installed" VALUES(1,'django','Django','5.1.3','5.1.4','5.2.1',NULL,NULL,NULL);
INSERT INTO "installed" VALUES(1,'asgiref','asgiref','3.8.1',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "installed" VALUES(2,'django','Django','4.2.1','5.1.4','5.2.1',NULL,NULL,NULL);
INSERT INTO "installed" VALUES(2,'it''s; "quoted"','It''s; "quoted"','1.0',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE package_sets (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	packages TEXT NOT NULL, 
	many INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
INSERT INTO "package_sets" VALUES(1,'4c9784da2e6bfcfb05048872a3dd91e8e05e28480ab5bddb3a7216dd5fd9ef81','{"Django": "5.2", "asgiref": "3.8.1"}',2);
CREATE TABLE published_weeks (
	program TEXT NOT NULL, 
	week INTEGER NOT NULL, 
	shown TEXT NOT NULL, 
	PRIMARY KEY (program, week)
);
INSERT INTO "published_weeks" VALUES('prog',20779,'{}');
CREATE TABLE reports (
	id INTEGER NOT NULL, 
	program TEXT NOT NULL, 
	file TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	date BIGINT NOT NULL, 
	user TEXT, 
	size INTEGER NOT NULL, 
	proof TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (program, file)
);
INSERT INTO "reports" VALUES(1,'prog','20261127T055524.463071036Z-bfc2916b.txt',1795758924463,1763680000250,NULL,45,NULL);
CREATE TABLE rollout_changes (
	rollout_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	action TEXT NOT NULL, 
	name TEXT NOT NULL, 
	shown_as TEXT NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	virtualenvs INTEGER NOT NULL, 
	deployed INTEGER NOT NULL, 
	PRIMARY KEY (rollout_id, position), 
	FOREIGN KEY(rollout_id) REFERENCES rollouts (id)
);
INSERT INTO "rollout_changes" VALUES(1,0,'upgrade','django','Django','5.1','5.2',1,1);
CREATE TABLE rollout_virtualenvs (
	rollout_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	virtualenv_id INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	deployment TEXT, 
	set_number INTEGER, 
	changes INTEGER NOT NULL, 
	interpreter TEXT, 
	digest TEXT, 
	drift_packages BIGINT, 
	drift_files BIGINT, 
	drift_since BIGINT, 
	migrated TEXT, 
	message TEXT NOT NULL, 
	seconds FLOAT, 
	PRIMARY KEY (rollout_id, position), 
	FOREIGN KEY(rollout_id) REFERENCES rollouts (id), 
	FOREIGN KEY(virtualenv_id) REFERENCES virtualenvs (id)
);
INSERT INTO "rollout_virtualenvs" VALUES(1,0,1,'deployed',NULL,0,1,'CPython 3.11.7','abababababababababababababababababababababababababababababababab',NULL,NULL,NULL,NULL,'',NULL);
CREATE TABLE rollouts (
	id INTEGER NOT NULL, 
	rollout TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	task TEXT NOT NULL, 
	who TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	command TEXT NOT NULL, 
	version TEXT NOT NULL, 
	began BIGINT NOT NULL, 
	ended BIGINT, 
	heard_at BIGINT NOT NULL, 
	slice TEXT, 
	log TEXT, 
	approved_by TEXT NOT NULL, 
	out_of_service TEXT NOT NULL, 
	virtualenvs INTEGER NOT NULL, 
	statuses TEXT NOT NULL, 
	packages INTEGER NOT NULL, 
	main_changes TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (rollout)
);
INSERT INTO "rollouts" VALUES(1,'20261120-214900-9f3a',2,'ended','deploy','anna','laptop','fab deploy --yes','1.0',1795786619000,1795786859000,1795786919039,NULL,NULL,'[]','[]',1,'{"deployed": 1}',1,'[["upgrade", "Django", "5.1", "5.2", 1]]');
CREATE TABLE sessions (
	cookie TEXT NOT NULL, 
	token TEXT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	PRIMARY KEY (cookie)
);
INSERT INTO "sessions" VALUES('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',1795758924463);
CREATE TABLE updates (
	id INTEGER NOT NULL, 
	application_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	first BOOLEAN NOT NULL, 
	packages INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "updates" VALUES(1,1,1795758924444,1,2);
INSERT INTO "updates" VALUES(2,1,1795758924454,0,2);
INSERT INTO "updates" VALUES(3,2,1795758924459,1,2);
CREATE TABLE usage_counts (
	program TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	reports INTEGER NOT NULL, 
	PRIMARY KEY ("key", day, program, value)
);
INSERT INTO "usage_counts" VALUES('prog',20784,'','',1);
INSERT INTO "usage_counts" VALUES('prog',20784,'user','someone',1);
INSERT INTO "usage_counts" VALUES('prog',20784,'version','1.2',1);
CREATE TABLE virtualenvs (
	id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	host TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	path TEXT NOT NULL, 
	rollout_id INTEGER NOT NULL, 
	began BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	known_at BIGINT, 
	interpreter TEXT, 
	digest TEXT, 
	package_set_id INTEGER, 
	drift_packages BIGINT, 
	drift_files BIGINT, 
	drift_since BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE ("key"), 
	FOREIGN KEY(rollout_id) REFERENCES rollouts (id), 
	FOREIGN KEY(package_set_id) REFERENCES package_sets (id)
);
INSERT INTO "virtualenvs" VALUES(1,'c2c261ba98ab718fb2fdf8823f72082f3c8bfd2818ec612909a32dc944d11881','web1','shop','/srv/shop',1,1795786619000,'deployed',1795786919039,'CPython 3.11.7','abababababababababababababababababababababababababababababababab',1,NULL,NULL,NULL);
CREATE TABLE vulnerabilities (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	first_seen BIGINT NOT NULL, 
	severity TEXT NOT NULL, 
	rank INTEGER NOT NULL, 
	score FLOAT, 
	summary TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "vulnerabilities" VALUES(1,'CVE-2026-1',1795758924463,'high',3,7.5,'It''s bad');
CREATE TABLE vulnerability_names (
	"key" TEXT NOT NULL, 
	name TEXT NOT NULL, 
	vulnerability_id INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(vulnerability_id) REFERENCES vulnerabilities (id)
);
INSERT INTO "vulnerability_names" VALUES('cve-2026-1','CVE-2026-1',1);
CREATE INDEX reports_by_time ON reports (program, at);
CREATE INDEX installed_by_version ON installed (name, version, newer_house, newer_index, shown_as, compared);
CREATE INDEX updates_by_time ON updates (at);
CREATE INDEX updates_by_application ON updates (application_id, at);
CREATE INDEX ix_vulnerability_names_vulnerability_id ON vulnerability_names (vulnerability_id);
CREATE INDEX findings_by_application ON findings (application_id, ended_at);
CREATE INDEX findings_by_vulnerability ON findings (vulnerability_id, ended_at);
CREATE INDEX findings_by_package ON findings (package, ended_at);
CREATE INDEX findings_by_event ON findings (event_id);
CREATE INDEX rollouts_by_time ON rollouts (began, id);
CREATE INDEX rollout_changes_by_package ON rollout_changes (name, rollout_id);
CREATE INDEX ix_virtualenvs_host ON virtualenvs (host);
CREATE INDEX ix_virtualenvs_rollout_id ON virtualenvs (rollout_id);
CREATE INDEX ix_virtualenvs_package_set_id ON virtualenvs (package_set_id);
CREATE INDEX rollout_virtualenvs_by_virtualenv ON rollout_virtualenvs (virtualenv_id, rollout_id);
CREATE INDEX reports_by_user ON reports (user, program, at DESC);
CREATE INDEX reports_by_arrival ON reports (at);
CREATE INDEX usage_counts_by_value ON usage_counts ("key", value, day, program, reports);
CREATE INDEX findings_by_time ON findings (first_seen, id);
COMMIT;
