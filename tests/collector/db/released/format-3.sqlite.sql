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
	vulnerable INTEGER, 
	PRIMARY KEY (id), 
	UNIQUE (uuid)
);
INSERT INTO "applications" VALUES(1,'u1',7,'shop','http://web1.example.org','python-3.11.7',1795758922846,1795758922856,2,1,1);
INSERT INTO "applications" VALUES(2,'u2',7,'sh''op','http://web2.example.org','python-3.11.7',1795758922860,1795758922860,2,1,NULL);
CREATE TABLE behind_weeks (
	week INTEGER NOT NULL, 
	application_id INTEGER NOT NULL, 
	packages INTEGER NOT NULL, 
	behind INTEGER NOT NULL, 
	PRIMARY KEY (application_id, week), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "behind_weeks" VALUES(20416,1,2,1);
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
CREATE TABLE envfab_format (
	format INTEGER NOT NULL
);
INSERT INTO "envfab_format" VALUES(3);
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
	PRIMARY KEY (application_id, name), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "installed" VALUES(1,'django','Django','5.1.3','5.1.4','5.2.1');
INSERT INTO "installed" VALUES(1,'asgiref','asgiref','3.8.1',NULL,NULL);
INSERT INTO "installed" VALUES(2,'django','Django','4.2.1','5.1.4','5.2.1');
INSERT INTO "installed" VALUES(2,'it''s; "quoted"','It''s; "quoted"','1.0',NULL,NULL);
CREATE TABLE reports (
	id INTEGER NOT NULL, 
	program TEXT NOT NULL, 
	file TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	date BIGINT NOT NULL, 
	user TEXT, 
	size INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (program, file)
);
INSERT INTO "reports" VALUES(1,'prog','20261127T055522.863944721Z-bdc30d0c.txt',1795758922863,1763680000250,NULL,45);
CREATE TABLE updates (
	id INTEGER NOT NULL, 
	application_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	first BOOLEAN NOT NULL, 
	packages INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(application_id) REFERENCES applications (id)
);
INSERT INTO "updates" VALUES(1,1,1795758922846,1,2);
INSERT INTO "updates" VALUES(2,1,1795758922856,0,2);
INSERT INTO "updates" VALUES(3,2,1795758922860,1,2);
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
CREATE INDEX reports_by_time ON reports (program, at);
CREATE INDEX installed_by_version ON installed (name, version, newer_house, newer_index, shown_as);
CREATE INDEX updates_by_application ON updates (application_id, at);
CREATE INDEX updates_by_time ON updates (at);
COMMIT;
