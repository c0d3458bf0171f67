"""Writing people, keys, sessions, failed log-ins."""

# The unique index on email decides between two people made at once.
INSERT_PERSON = """
INSERT INTO person (id, name, email, password_hash, role, everywhere, language, timezone)
VALUES (%(id)s::uuid, %(name)s::text, %(email)s::text, %(password_hash)s::text, %(role)s::text, %(everywhere)s::boolean,
        %(language)s::text, %(timezone)s::text)
ON CONFLICT (email) DO NOTHING
"""

# Two first owners at once: the second waits here and then sees the first.
LOCK_PEOPLE = """
LOCK TABLE person IN SHARE ROW EXCLUSIVE MODE
"""

# One person is changed at a time; the version is compared under this lock.
LOCK_PERSON = """
SELECT version FROM person WHERE id = %(id)s::uuid FOR UPDATE
"""

UPDATE_PERSON = """
UPDATE person
SET name = %(name)s::text, email = %(email)s::text, role = %(role)s::text, everywhere = %(everywhere)s::boolean,
    language = %(language)s::text, timezone = %(timezone)s::text, active = %(active)s::boolean, version = version + 1
WHERE id = %(id)s::uuid
RETURNING version
"""

EMAIL_TAKEN = """
SELECT EXISTS (SELECT FROM person WHERE email = %(email)s::text AND id <> %(id)s::uuid)
"""

# All active owners of all places locked in key order: two owners removing or limiting each other at once must not leave
# none. An owner who is limited to locations could not give anybody more than these, so such a one does not count. With
# each comes whether there is a way in: who was invited and has neither a password nor an account at a provider owns
# nothing yet.
LOCK_OWNERS = """
SELECT p.id, p.password_hash IS NOT NULL OR EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.id) AS comes_in
FROM person p WHERE p.role = 'owner' AND p.active AND p.everywhere ORDER BY p.id FOR UPDATE OF p
"""

# New words, new version: whoever edits the person at the same time must read again.
CHANGE_CREDENTIALS = """
UPDATE person SET password_hash = %(password_hash)s::text, version = version + 1 WHERE id = %(id)s::uuid
"""

DELETE_PERSON_LOCATIONS = """
DELETE FROM person_location WHERE person_id = %(id)s::uuid
"""

INSERT_PERSON_LOCATIONS = """
INSERT INTO person_location (person_id, location_id)
SELECT %(id)s::uuid, unnest(%(locations)s::int[])
"""

# By the unique e-mail; the factor by primary key.
PERSON_TO_LOG_IN = """
SELECT id, password_hash, active, version,
       EXISTS (SELECT FROM second_factor f WHERE f.person_id = p.id) AS factor, role
FROM person p WHERE email = %(email)s::text
"""

# Locked: two codes for one person are checked one after the other.
LOCK_TO_ENTER = """
SELECT version FROM person WHERE id = %(id)s::uuid AND active FOR UPDATE
"""

# Counts the try before its outcome is known and holds the row: guesses at one account queue up instead of running in
# parallel. A subject that was quiet for long starts again. Sorted subjects: one lock order.
COUNT_TRY = """
INSERT INTO login_attempt AS a (subject, failures, last_at)
SELECT subject, 1, now() FROM unnest(%(subjects)s::text[]) AS subject ORDER BY subject
ON CONFLICT (subject) DO UPDATE
SET failures = CASE WHEN a.blocked_until > now() THEN a.failures
                    WHEN a.last_at < now() - %(forget)s::interval THEN 1
                    ELSE a.failures + 1 END,
    last_at = CASE WHEN a.blocked_until > now() THEN a.last_at ELSE now() END
RETURNING subject, failures, greatest(0, ceil(extract(epoch FROM blocked_until - now())))::int AS seconds
"""

# By primary key; the rows are locked by COUNT_TRY. From when the try failed, not from when it began: it may have stood
# in line for the row, and passwords take their time.
BLOCK = """
UPDATE login_attempt a SET blocked_until = clock_timestamp() + w.wait
FROM unnest(%(subjects)s::text[], %(waits)s::interval[]) AS w (subject, wait)
WHERE a.subject = w.subject AND w.wait > interval '0'
"""

# A success clears the account and takes back its own try from the address, which others may be guessing from.
CLEAR_TRIES = """
UPDATE login_attempt
SET failures = CASE WHEN subject = %(account)s::text THEN 0 ELSE greatest(0, failures - 1) END,
    blocked_until = CASE WHEN subject = %(account)s::text THEN NULL ELSE blocked_until END
WHERE subject = ANY(%(subjects)s::text[])
"""

DELETE_OLD_TRIES = """
DELETE FROM login_attempt WHERE last_at < now() - %(forget)s::interval AND coalesce(blocked_until, now()) <= now()
"""

INSERT_SESSION = """
INSERT INTO session (token_hash, id, person_id, expires_at, source, agent, provider_id, vouched, id_token)
VALUES (%(token_hash)s::bytea, %(id)s::uuid, %(person_id)s::uuid,
        least(now() + make_interval(hours => %(hours)s::int), now() + make_interval(days => %(days)s::int)),
        %(source)s::text, left(%(agent)s::text, 200),
        (SELECT id FROM login_provider WHERE id = %(provider_id)s::int), %(vouched)s::boolean, %(id_token)s::bytea)
"""

# Sliding expiry, written at most once a minute per session; it never slides past the longest life.
TOUCH_SESSION = """
UPDATE session
SET seen_at = now(),
    expires_at = least(now() + make_interval(hours => %(hours)s::int),
                       created_at + make_interval(days => %(days)s::int))
WHERE token_hash = %(token_hash)s::bytea AND seen_at < now() - interval '1 minute'
"""

# By primary key: the same session, under another token.
MOVE_SESSION = """
UPDATE session SET token_hash = %(fresh)s::bytea WHERE token_hash = %(token_hash)s::bytea
"""

DELETE_SESSION = """
DELETE FROM session WHERE token_hash = %(token_hash)s::bytea RETURNING person_id
"""

DELETE_SESSION_BY_ID = """
DELETE FROM session WHERE id = %(id)s::uuid AND person_id = %(person_id)s::uuid
"""

DELETE_SESSIONS_OF = """
DELETE FROM session
WHERE person_id = %(person_id)s::uuid AND (%(but)s::bytea IS NULL OR token_hash <> %(but)s::bytea)
"""

# By primary key; whoever may not come in gets no link.
INSERT_LINK = """
INSERT INTO password_link (id, person_id, expires_at, mailed)
SELECT %(id)s::uuid, p.id, now() + %(lasts)s::interval, %(mailed)s::boolean FROM person p
WHERE p.id = %(person_id)s::uuid AND p.active
RETURNING expires_at
"""

# The same statement whether the address is somebody's or nobody's.
INSERT_LINK_BY_EMAIL = """
INSERT INTO password_link (id, person_id, expires_at, mailed)
SELECT %(id)s::uuid, p.id, now() + %(lasts)s::interval, true FROM person p
WHERE p.email = %(email)s::text AND p.active
"""

# Whoever deletes the row has used the link; a second one finds nothing.
TAKE_LINK = """
DELETE FROM password_link WHERE id = %(id)s::uuid AND expires_at > now() RETURNING person_id
"""

DELETE_LINKS_OF = """
DELETE FROM password_link WHERE person_id = %(person_id)s::uuid
"""

DELETE_EXPIRED_LINKS = """
DELETE FROM password_link WHERE expires_at < now()
"""

LINK_SENT = """
UPDATE password_link SET sent_at = now(), problem = NULL WHERE id = %(id)s::uuid
"""

LINK_FAILED = """
UPDATE password_link SET problem = %(problem)s::text WHERE id = %(id)s::uuid
"""

# A new app replaces the former one.
PUT_FACTOR = """
INSERT INTO second_factor (person_id, secret, last_step)
VALUES (%(person_id)s::uuid, %(secret)s::bytea, %(step)s::bigint)
ON CONFLICT (person_id) DO UPDATE SET secret = excluded.secret, since = now(), last_step = excluded.last_step
"""

SEALED_FACTOR = """
SELECT secret FROM second_factor WHERE person_id = %(person_id)s::uuid
"""

# The condition makes each code good once, also for two log-ins at the same moment.
SPEND_STEP = """
UPDATE second_factor SET last_step = %(step)s::bigint
WHERE person_id = %(person_id)s::uuid AND last_step < %(step)s::bigint
"""

SPEND_RECOVERY_CODE = """
DELETE FROM recovery_code WHERE person_id = %(person_id)s::uuid AND code_hash = %(code_hash)s::bytea
"""

DELETE_FACTOR = """
DELETE FROM second_factor WHERE person_id = %(person_id)s::uuid
"""

DELETE_RECOVERY_CODES = """
DELETE FROM recovery_code WHERE person_id = %(person_id)s::uuid
"""

INSERT_RECOVERY_CODES = """
INSERT INTO recovery_code (person_id, code_hash)
SELECT %(person_id)s::uuid, unnest(%(hashes)s::bytea[])
"""

PUT_POLICY = """
INSERT INTO role_policy (role, second_factor) VALUES (%(role)s::text, %(second_factor)s::boolean)
ON CONFLICT (role) DO UPDATE SET second_factor = excluded.second_factor
WHERE role_policy.second_factor <> excluded.second_factor
"""

DELETE_EXPIRED_SESSIONS = """
DELETE FROM session WHERE expires_at < now()
"""

INSERT_KEY = """
INSERT INTO api_key (name, prefix, secret_hash, permissions, everywhere, created_by, expires_at)
VALUES (%(name)s::text, %(prefix)s::text, %(secret_hash)s::bytea, %(permissions)s::text[], %(everywhere)s::boolean,
        %(created_by)s::text, %(expires_at)s::timestamptz)
RETURNING id
"""

INSERT_KEY_LOCATIONS = """
INSERT INTO api_key_location (key_id, location_id)
SELECT %(id)s::int, unnest(%(locations)s::int[])
"""

REVOKE_KEY = """
UPDATE api_key SET revoked_at = now() WHERE id = %(id)s::int AND revoked_at IS NULL
"""

# By primary key; only of one that works.
KEEP_KEY = """
UPDATE api_key SET kept_by = %(kept_by)s::text
WHERE id = %(id)s::int AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""

# At most once a minute per key, from a timer, never on the way of a request. Key order: several processes do this.
TOUCH_KEYS = """
UPDATE api_key k SET last_used_at = now()
FROM (SELECT id FROM api_key WHERE id = ANY(%(ids)s::int[])
        AND coalesce(last_used_at, '-infinity') < now() - interval '1 minute'
      ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS used
WHERE k.id = used.id
"""
