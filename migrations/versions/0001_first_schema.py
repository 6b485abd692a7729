"""The first schema: everything that cannot be retrofitted.

Conventions: ids are 64-bit and time-sortable (fedcomm/store/ids.py); times are Unix milliseconds,
UTC; flags are
0/1; ids of other servers are TEXT in columns named `uri`, ids of ours are BIGINT, and the two never
share a column
(INV-12). Every table that grows is read by key or by keyset.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE hosts (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  first_seen_at BIGINT NOT NULL,
  heard_at BIGINT,
  software TEXT,
  software_version TEXT,
  probed_at BIGINT,
  signature_style TEXT,
  signature_learned_at BIGINT,
  signature_source TEXT,
  dead_at BIGINT,
  policy TEXT NOT NULL DEFAULT 'none',
  reject_media INTEGER NOT NULL DEFAULT 0,
  reject_reports INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX hosts_by_policy ON hosts (policy, id) WHERE policy <> 'none';

CREATE TABLE host_policies (
  domain TEXT PRIMARY KEY,
  level TEXT NOT NULL,
  reject_media INTEGER NOT NULL DEFAULT 0,
  reject_reports INTEGER NOT NULL DEFAULT 0,
  public_comment TEXT NOT NULL DEFAULT '',
  private_comment TEXT NOT NULL DEFAULT '',
  created_by BIGINT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  source TEXT NOT NULL DEFAULT ''
);
CREATE INDEX host_policies_expiring ON host_policies (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX host_policies_by_source ON host_policies (source) WHERE source <> '';

CREATE TABLE policy_changes (
  id BIGINT PRIMARY KEY,
  actor_id BIGINT,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  undone_at BIGINT
);

CREATE TABLE policy_change_entries (
  change_id BIGINT NOT NULL REFERENCES policy_changes (id),
  domain TEXT NOT NULL,
  before TEXT,
  after TEXT,
  PRIMARY KEY (change_id, domain)
);

CREATE TABLE policy_subscriptions (
  id BIGINT PRIMARY KEY,
  url TEXT NOT NULL UNIQUE,
  level TEXT NOT NULL,
  etag TEXT,
  created_by BIGINT,
  created_at BIGINT NOT NULL,
  fetched_at BIGINT,
  error TEXT
);

CREATE TABLE policy_drafts (
  id BIGINT PRIMARY KEY,
  source TEXT NOT NULL UNIQUE,
  subscription_id BIGINT REFERENCES policy_subscriptions (id),
  body TEXT NOT NULL,
  level TEXT NOT NULL,
  created_by BIGINT,
  created_at BIGINT NOT NULL
);

CREATE TABLE actors (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  host_id BIGINT REFERENCES hosts (id),
  uri TEXT UNIQUE,
  name TEXT NOT NULL,
  display_name TEXT NOT NULL DEFAULT '',
  summary_source TEXT NOT NULL DEFAULT '',
  summary_html TEXT NOT NULL DEFAULT '',
  url TEXT,
  avatar_id BIGINT,
  header_id BIGINT,
  avatar_url TEXT,
  inbox TEXT,
  shared_inbox TEXT,
  outbox TEXT,
  followers_uri TEXT,
  featured_uri TEXT,
  locked INTEGER NOT NULL DEFAULT 0,
  discoverable INTEGER NOT NULL DEFAULT 1,
  indexable INTEGER NOT NULL DEFAULT 0,
  moved_to_uri TEXT,
  moved_at BIGINT,
  suspended_at BIGINT,
  barred_at BIGINT,
  deleted_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  fetched_at BIGINT
);
CREATE INDEX actors_by_host ON actors (host_id, id);
CREATE INDEX actors_by_handle ON actors (host_id, lower(name));
CREATE INDEX actors_by_avatar ON actors (avatar_id) WHERE avatar_id IS NOT NULL;
CREATE INDEX actors_by_header ON actors (header_id) WHERE header_id IS NOT NULL;

CREATE TABLE handles (
  name TEXT PRIMARY KEY,
  actor_id BIGINT NOT NULL,
  released_at BIGINT
);
CREATE UNIQUE INDEX handles_by_actor ON handles (actor_id);

CREATE TABLE actor_keys (
  uri TEXT PRIMARY KEY,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  algorithm TEXT NOT NULL,
  public_key TEXT NOT NULL,
  private_key TEXT,
  created_at BIGINT NOT NULL,
  fetched_at BIGINT
);
CREATE INDEX actor_keys_by_actor ON actor_keys (actor_id);

CREATE TABLE members (
  actor_id BIGINT PRIMARY KEY REFERENCES actors (id),
  email TEXT UNIQUE,
  password_hash TEXT,
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  locale TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT
);
CREATE INDEX members_by_role ON members (role, actor_id);

CREATE TABLE profile_fields (
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  html TEXT NOT NULL,
  PRIMARY KEY (actor_id, position)
);

CREATE TABLE aliases (
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  uri TEXT NOT NULL,
  PRIMARY KEY (actor_id, uri)
);

CREATE TABLE avoided_actors (
  member_id BIGINT NOT NULL REFERENCES actors (id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  kind TEXT NOT NULL,
  announced INTEGER NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (member_id, actor_id)
);
CREATE INDEX avoided_actors_by_actor ON avoided_actors (actor_id);

CREATE TABLE avoided_hosts (
  member_id BIGINT NOT NULL REFERENCES actors (id),
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  kind TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (member_id, host_id)
);

CREATE TABLE groups (
  actor_id BIGINT PRIMARY KEY REFERENCES actors (id),
  mode TEXT NOT NULL,
  approval INTEGER NOT NULL DEFAULT 0,
  language TEXT NOT NULL,
  topics_by TEXT NOT NULL DEFAULT 'everyone',
  topics_per_hour INTEGER NOT NULL DEFAULT 0,
  first_posts_wait INTEGER NOT NULL DEFAULT 0,
  announce_replies INTEGER NOT NULL DEFAULT 0,
  created_by BIGINT REFERENCES actors (id),
  created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
  group_id BIGINT NOT NULL REFERENCES groups (actor_id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  suspended INTEGER NOT NULL DEFAULT 0,
  follow_uri TEXT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT,
  banned_until BIGINT,
  banned_by BIGINT,
  ban_reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (group_id, actor_id)
);
CREATE INDEX memberships_by_actor ON memberships (actor_id, state);
CREATE INDEX memberships_by_group ON memberships (group_id, state, actor_id);
CREATE INDEX memberships_expiring ON memberships (banned_until) WHERE banned_until IS NOT NULL;
CREATE INDEX memberships_of_staff ON memberships (group_id) WHERE role IN ('owner', 'moderator');

CREATE TABLE follows (
  follower_id BIGINT NOT NULL REFERENCES actors (id),
  followed_id BIGINT NOT NULL REFERENCES actors (id),
  state TEXT NOT NULL,
  suspended INTEGER NOT NULL DEFAULT 0,
  follow_uri TEXT,
  activity_id BIGINT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT,
  PRIMARY KEY (follower_id, followed_id)
);
CREATE INDEX follows_by_followed ON follows (followed_id, state, follower_id);

CREATE TABLE objects (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  type TEXT NOT NULL,
  uri TEXT UNIQUE,
  host_id BIGINT REFERENCES hosts (id),
  author_id BIGINT NOT NULL REFERENCES actors (id),
  group_id BIGINT REFERENCES groups (actor_id),
  topic_id BIGINT,
  parent_id BIGINT,
  parent_uri TEXT,
  context_uri TEXT,
  visibility TEXT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  html TEXT NOT NULL DEFAULT '',
  summary TEXT NOT NULL DEFAULT '',
  sensitive INTEGER NOT NULL DEFAULT 0,
  language TEXT NOT NULL DEFAULT '',
  url TEXT,
  details TEXT,
  created_at BIGINT NOT NULL,
  published_at BIGINT NOT NULL,
  edited_at BIGINT,
  deleted_at BIGINT,
  removed_by BIGINT,
  withheld TEXT,
  withheld_at BIGINT,
  pinned_at BIGINT,
  locked_at BIGINT,
  reply_count INTEGER NOT NULL DEFAULT 0,
  like_count INTEGER NOT NULL DEFAULT 0,
  dislike_count INTEGER NOT NULL DEFAULT 0,
  share_count INTEGER NOT NULL DEFAULT 0,
  active_at BIGINT NOT NULL
);
CREATE INDEX objects_by_group_activity ON objects (group_id, kind, active_at, id);
CREATE INDEX objects_by_group ON objects (group_id, kind, id);
CREATE INDEX objects_pinned ON objects (group_id, pinned_at) WHERE pinned_at IS NOT NULL;
CREATE INDEX objects_by_topic ON objects (topic_id, kind, id);
CREATE INDEX objects_by_author ON objects (author_id, id);
CREATE INDEX objects_by_parent ON objects (parent_id, id);
CREATE INDEX objects_by_parent_uri ON objects (parent_uri) WHERE parent_uri IS NOT NULL;
CREATE INDEX objects_withheld ON objects (withheld, withheld_at) WHERE withheld IS NOT NULL;
CREATE INDEX objects_waiting ON objects (group_id, id) WHERE withheld = 'waiting';
CREATE INDEX objects_by_group_host ON objects (group_id, host_id) WHERE host_id IS NOT NULL;
CREATE INDEX objects_by_kind ON objects (kind, id);

CREATE TABLE revisions (
  object_id BIGINT NOT NULL REFERENCES objects (id),
  number INTEGER NOT NULL,
  editor_id BIGINT NOT NULL REFERENCES actors (id),
  title TEXT NOT NULL,
  source TEXT NOT NULL,
  html TEXT NOT NULL,
  summary TEXT NOT NULL,
  sensitive INTEGER NOT NULL,
  language TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (object_id, number)
);

CREATE TABLE mentions (
  object_id BIGINT NOT NULL REFERENCES objects (id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  PRIMARY KEY (object_id, actor_id)
);
CREATE INDEX mentions_by_actor ON mentions (actor_id, object_id);

CREATE TABLE hashtags (
  object_id BIGINT NOT NULL REFERENCES objects (id),
  tag TEXT NOT NULL,
  PRIMARY KEY (object_id, tag)
);
CREATE INDEX hashtags_by_tag ON hashtags (tag, object_id);

CREATE TABLE media (
  id BIGINT PRIMARY KEY,
  owner_id BIGINT NOT NULL REFERENCES actors (id),
  purpose TEXT NOT NULL,
  state TEXT NOT NULL,
  file TEXT UNIQUE,
  thumbnail TEXT UNIQUE,
  mime TEXT,
  width INTEGER,
  height INTEGER,
  bytes BIGINT NOT NULL DEFAULT 0,
  blurhash TEXT,
  alt TEXT NOT NULL DEFAULT '',
  focal_x DOUBLE PRECISION NOT NULL DEFAULT 0,
  focal_y DOUBLE PRECISION NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);
CREATE INDEX media_by_owner ON media (owner_id, created_at);
CREATE INDEX media_by_state ON media (state, created_at);

CREATE TABLE attachments (
  object_id BIGINT NOT NULL REFERENCES objects (id),
  position INTEGER NOT NULL,
  media_id BIGINT REFERENCES media (id),
  uri TEXT,
  type TEXT NOT NULL,
  mime TEXT,
  alt TEXT NOT NULL DEFAULT '',
  width INTEGER,
  height INTEGER,
  blurhash TEXT,
  focal_x DOUBLE PRECISION,
  focal_y DOUBLE PRECISION,
  PRIMARY KEY (object_id, position)
);
CREATE INDEX attachments_by_media ON attachments (media_id);

CREATE TABLE reactions (
  id BIGINT PRIMARY KEY,
  object_id BIGINT NOT NULL REFERENCES objects (id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  kind TEXT NOT NULL,
  uri TEXT UNIQUE,
  created_at BIGINT NOT NULL,
  UNIQUE (object_id, actor_id, kind)
);
CREATE INDEX reactions_by_actor ON reactions (actor_id, kind, object_id);

CREATE TABLE polls (
  object_id BIGINT PRIMARY KEY REFERENCES objects (id),
  multiple INTEGER NOT NULL DEFAULT 0,
  ends_at BIGINT,
  closed_at BIGINT,
  voter_count BIGINT NOT NULL DEFAULT 0,
  report_at BIGINT,
  close_at BIGINT
);
CREATE INDEX polls_to_report ON polls (report_at) WHERE report_at IS NOT NULL;
CREATE INDEX polls_to_close ON polls (close_at) WHERE close_at IS NOT NULL;

CREATE TABLE poll_options (
  object_id BIGINT NOT NULL REFERENCES polls (object_id),
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  vote_count BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (object_id, position)
);

CREATE TABLE poll_votes (
  id BIGINT PRIMARY KEY,
  object_id BIGINT NOT NULL REFERENCES polls (object_id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  slot INTEGER NOT NULL,
  position INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (object_id, actor_id, slot)
);
CREATE INDEX poll_votes_by_actor ON poll_votes (actor_id);

CREATE TABLE notifications (
  id BIGINT PRIMARY KEY,
  member_id BIGINT NOT NULL REFERENCES members (actor_id),
  kind TEXT NOT NULL,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  object_id BIGINT REFERENCES objects (id),
  group_id BIGINT REFERENCES groups (actor_id),
  matter_id BIGINT,
  created_at BIGINT NOT NULL,
  read_at BIGINT
);
CREATE INDEX notifications_by_member ON notifications (member_id, id);
CREATE INDEX notifications_by_object ON notifications (object_id);
CREATE INDEX notifications_unread ON notifications (member_id) WHERE read_at IS NULL;
CREATE INDEX notifications_by_actor ON notifications (actor_id);
CREATE UNIQUE INDEX notifications_once
  ON notifications (member_id, kind, actor_id, (COALESCE(object_id, 0)), (COALESCE(group_id, 0)),
  (COALESCE(matter_id, 0)));

CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,
  member_id BIGINT NOT NULL REFERENCES members (actor_id),
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_member ON sessions (member_id);

CREATE TABLE tokens (
  id BIGINT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  member_id BIGINT NOT NULL REFERENCES members (actor_id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT
);
CREATE INDEX tokens_by_member ON tokens (member_id);

CREATE TABLE reports (
  id BIGINT PRIMARY KEY,
  uri TEXT UNIQUE,
  reporter_id BIGINT REFERENCES actors (id),
  host_id BIGINT REFERENCES hosts (id),
  group_id BIGINT REFERENCES groups (actor_id),
  reason TEXT NOT NULL,
  rules_version INTEGER,
  rule_number INTEGER,
  forward TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  outcome TEXT NOT NULL DEFAULT '',
  decision_reason TEXT NOT NULL DEFAULT '',
  assignee_id BIGINT REFERENCES actors (id),
  decided_by BIGINT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT
);
CREATE INDEX reports_by_group ON reports (group_id, state, id);
CREATE INDEX reports_by_state ON reports (state, id);
CREATE INDEX reports_by_host ON reports (host_id, id) WHERE host_id IS NOT NULL;
CREATE INDEX reports_by_reporter ON reports (reporter_id, id);

CREATE TABLE report_subjects (
  report_id BIGINT NOT NULL REFERENCES reports (id),
  position INTEGER NOT NULL,
  actor_id BIGINT,
  object_id BIGINT,
  PRIMARY KEY (report_id, position)
);
CREATE INDEX report_subjects_by_object ON report_subjects (object_id) WHERE object_id IS NOT NULL;
CREATE INDEX report_subjects_by_actor ON report_subjects (actor_id) WHERE actor_id IS NOT NULL;

CREATE TABLE report_notes (
  id BIGINT PRIMARY KEY,
  report_id BIGINT NOT NULL REFERENCES reports (id),
  author_id BIGINT NOT NULL REFERENCES actors (id),
  text TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX report_notes_by_report ON report_notes (report_id, id);

CREATE TABLE rules (
  version INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  created_by BIGINT,
  created_at BIGINT NOT NULL
);

CREATE TABLE statements (
  id BIGINT PRIMARY KEY,
  report_id BIGINT REFERENCES reports (id),
  action TEXT NOT NULL,
  person_id BIGINT NOT NULL REFERENCES actors (id),
  object_id BIGINT REFERENCES objects (id),
  group_id BIGINT REFERENCES groups (actor_id),
  reason TEXT NOT NULL,
  rules_version INTEGER,
  rule_number INTEGER,
  decided_by BIGINT,
  decided_as TEXT NOT NULL,
  expires_at BIGINT,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  ended_reason TEXT NOT NULL DEFAULT '',
  appeal TEXT,
  appealed_at BIGINT,
  appeal_outcome TEXT,
  appeal_reason TEXT NOT NULL DEFAULT '',
  appeal_decided_by BIGINT,
  appeal_decided_at BIGINT
);
CREATE INDEX statements_by_person ON statements (person_id, id);
CREATE INDEX statements_by_object ON statements (object_id, action, id) WHERE object_id IS NOT NULL;
CREATE INDEX statements_by_report ON statements (report_id) WHERE report_id IS NOT NULL;
CREATE INDEX statements_appealed ON statements (appealed_at)
  WHERE appealed_at IS NOT NULL AND appeal_outcome IS NULL;

CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  actor_id BIGINT,
  event TEXT NOT NULL,
  subject_id BIGINT,
  detail TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL
);
CREATE INDEX audit_by_event ON audit (event, id);

CREATE TABLE cursors (
  consumer TEXT PRIMARY KEY,
  seq BIGINT NOT NULL
);

CREATE TABLE outbox_failures (
  seq BIGINT PRIMARY KEY,
  event TEXT NOT NULL,
  failed_at BIGINT NOT NULL
);

CREATE TABLE tombstones (
  uri_hash TEXT PRIMARY KEY,
  created_at BIGINT NOT NULL
);
CREATE INDEX tombstones_by_age ON tombstones (created_at);

CREATE TABLE activities (
  id BIGINT PRIMARY KEY,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  type TEXT NOT NULL,
  object_id BIGINT,
  subject_id BIGINT,
  body TEXT,
  created_at BIGINT NOT NULL
);
CREATE INDEX activities_by_object ON activities (object_id, type, actor_id);
CREATE INDEX activities_by_actor ON activities (actor_id, type, id);

CREATE TABLE received_activities (
  uri TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  object_id BIGINT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX received_activities_by_object ON received_activities (object_id, type, actor_id);
CREATE INDEX received_activities_by_actor ON received_activities (actor_id);

CREATE TABLE deliveries (
  id BIGINT PRIMARY KEY,
  activity_id BIGINT NOT NULL REFERENCES activities (id),
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  inbox TEXT NOT NULL,
  state TEXT NOT NULL,
  recall INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  attempted_at BIGINT,
  status INTEGER,
  error TEXT,
  UNIQUE (activity_id, inbox)
);
CREATE INDEX deliveries_by_host ON deliveries (host_id, state, id);
CREATE INDEX deliveries_by_state ON deliveries (state, created_at);

CREATE TABLE inbox (
  id BIGINT PRIMARY KEY,
  uri TEXT NOT NULL UNIQUE,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  signer_uri TEXT NOT NULL,
  recipient_id BIGINT,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  verdict TEXT,
  body TEXT,
  received_at BIGINT NOT NULL
);
CREATE INDEX inbox_by_host ON inbox (host_id, state, id);
CREATE INDEX inbox_by_state ON inbox (state, received_at);

CREATE TABLE backfill (
  root_id BIGINT NOT NULL,
  uri TEXT NOT NULL,
  kind TEXT NOT NULL,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  page TEXT,
  pages INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL,
  walked_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (root_id, uri)
);
CREATE INDEX backfill_by_host ON backfill (host_id, state, next_at);
CREATE INDEX backfill_by_state ON backfill (state, walked_at);

CREATE TABLE backfill_days (
  root_id BIGINT PRIMARY KEY,
  day BIGINT NOT NULL,
  objects INTEGER NOT NULL
);

CREATE TABLE lanes (
  queue TEXT NOT NULL,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  next_at BIGINT,
  failures INTEGER NOT NULL DEFAULT 0,
  failing_since BIGINT,
  succeeded_at BIGINT,
  error TEXT,
  lease_owner TEXT,
  lease_until BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (queue, host_id)
);
CREATE INDEX lanes_due ON lanes (queue, next_at) WHERE next_at IS NOT NULL
"""

SQLITE = """
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  actor_id BIGINT,
  object_id BIGINT,
  group_id BIGINT,
  target_id BIGINT,
  created_at BIGINT NOT NULL
);
CREATE TABLE reach (
  subject_id BIGINT NOT NULL,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  how INTEGER NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  recalled_at BIGINT,
  recall_status INTEGER,
  PRIMARY KEY (subject_id, host_id)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE search_index USING fts5 (title, body, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3')
"""

POSTGRESQL = """
CREATE TABLE journal (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event TEXT NOT NULL,
  actor_id BIGINT,
  object_id BIGINT,
  group_id BIGINT,
  target_id BIGINT,
  created_at BIGINT NOT NULL
);
CREATE TABLE reach (
  subject_id BIGINT NOT NULL,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  how INTEGER NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  recalled_at BIGINT,
  recall_status INTEGER,
  PRIMARY KEY (subject_id, host_id)
);
CREATE TABLE search_index (
  object_id BIGINT PRIMARY KEY REFERENCES objects (id),
  document tsvector NOT NULL
);
CREATE INDEX search_index_by_word ON search_index USING gin (document)
"""

BOTH_AFTER = "CREATE INDEX reach_by_host ON reach (host_id, subject_id)"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        scripts = (TABLES.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"), SQLITE)
    else:
        scripts = (TABLES, POSTGRESQL)
    for script in (*scripts, BOTH_AFTER):
        for statement in script.split(";\n"):
            op.execute(statement.strip())
