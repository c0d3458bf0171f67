"""Writing providers, bindings, taken answers, the policy."""

# The unique code decides between two made at once.
INSERT_PROVIDER = """
INSERT INTO login_provider (code, name, issuer, client_id, client_secret, scopes, domains, creates, links, claim, role,
                            everywhere, second_factor, proofs, active)
VALUES (%(code)s::text, %(name)s::text, %(issuer)s::text, %(client_id)s::text, %(client_secret)s::bytea,
        %(scopes)s::text[], %(domains)s::text[], %(creates)s::boolean, %(links)s::boolean, %(claim)s::text,
        %(role)s::text, %(everywhere)s::boolean, %(second_factor)s::text, %(proofs)s::text[], %(active)s::boolean)
ON CONFLICT (code) DO NOTHING
RETURNING id
"""

# One provider is changed at a time; the version is compared under this lock.
LOCK_PROVIDER = """
SELECT id, version FROM login_provider WHERE code = %(code)s::text FOR UPDATE
"""

# A secret that was not given stays.
UPDATE_PROVIDER = """
UPDATE login_provider
SET name = %(name)s::text, issuer = %(issuer)s::text, client_id = %(client_id)s::text,
    client_secret = CASE WHEN %(keep_secret)s::boolean THEN client_secret ELSE %(client_secret)s::bytea END,
    scopes = %(scopes)s::text[], domains = %(domains)s::text[], creates = %(creates)s::boolean,
    links = %(links)s::boolean, claim = %(claim)s::text, role = %(role)s::text, everywhere = %(everywhere)s::boolean,
    second_factor = %(second_factor)s::text, proofs = %(proofs)s::text[], active = %(active)s::boolean,
    version = version + 1
WHERE id = %(id)s::int
RETURNING version
"""

# Locations, rules and sessions go with it; who is bound stays known by issuer and subject.
DELETE_PROVIDER = """
DELETE FROM login_provider WHERE id = %(id)s::int
"""

SEALED_FOR = """
SELECT client_secret FROM login_provider WHERE id = %(id)s::int
"""

DELETE_PROVIDER_LOCATIONS = """
DELETE FROM login_provider_location WHERE provider_id = %(id)s::int
"""

INSERT_PROVIDER_LOCATIONS = """
INSERT INTO login_provider_location (provider_id, location_id) SELECT %(id)s::int, unnest(%(locations)s::int[])
"""

DELETE_RULES = """
DELETE FROM login_rule WHERE provider_id = %(id)s::int
"""

INSERT_RULES = """
INSERT INTO login_rule (provider_id, place, value, role, everywhere)
SELECT %(id)s::int, r.place, r.value, r.role, r.everywhere
FROM unnest(%(places)s::int[], %(values)s::text[], %(roles)s::text[], %(everywhere)s::boolean[])
     AS r (place, value, role, everywhere)
"""

# By the unique (provider_id, place) of the rules just written.
INSERT_RULE_LOCATIONS = """
INSERT INTO login_rule_location (rule_id, location_id)
SELECT r.id, l.location_id
FROM unnest(%(places)s::int[], %(locations)s::int[]) AS l (place, location_id)
JOIN login_rule r ON r.provider_id = %(id)s::int AND r.place = l.place
"""

# By the partial index on provider_id.
END_SESSIONS_BY = """
DELETE FROM session WHERE provider_id = %(id)s::int
"""

# The primary key decides between two answers sent at once.
TAKE_ANSWER = """
INSERT INTO login_answer (state_hash, until) VALUES (%(state_hash)s::bytea, now() + %(lasts)s::interval)
ON CONFLICT (state_hash) DO NOTHING
"""

# By the index on until.
FORGET_ANSWERS = """
DELETE FROM login_answer WHERE until < now()
"""

# The primary key decides: an account of a provider is one person's.
BIND = """
INSERT INTO person_identity (issuer, subject, person_id, provider_id)
VALUES (%(issuer)s::text, %(subject)s::text, %(person_id)s::uuid, %(provider_id)s::int)
ON CONFLICT (issuer, subject) DO NOTHING
"""

TOUCH_BINDING = """
UPDATE person_identity SET last_at = now(), provider_id = %(provider_id)s::int
WHERE issuer = %(issuer)s::text AND subject = %(subject)s::text
"""

UNBIND = """
DELETE FROM person_identity
WHERE person_id = %(person_id)s::uuid AND issuer = %(issuer)s::text AND subject = %(subject)s::text
"""

# One row for the retailer. Two who change it at once: the second waits, and its version no longer fits.
PUT_POLICY_ROW = """
INSERT INTO login_policy AS p (provider_only) VALUES (%(provider_only)s::boolean)
ON CONFLICT (one) DO UPDATE SET provider_only = excluded.provider_only, version = p.version + 1
WHERE p.version = %(version)s::int
RETURNING version
"""

# What must hold together, the policy and the last way in, is changed by one at a time.
LOCK_POLICY = """
SELECT pg_advisory_xact_lock(hashtextextended('login_policy:' || current_schema(), 0))
"""
