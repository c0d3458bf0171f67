"""Statements on groups of locations and on whose goods are where. Private to `network.ownership`."""

# The version is the caller's, or none for a new group; no row means that somebody was faster.
INSERT_GROUP = """
INSERT INTO location_group (code, name) VALUES (%(code)s::text, %(name)s::text)
ON CONFLICT (code) DO NOTHING RETURNING id
"""
UPDATE_GROUP = """
UPDATE location_group SET name = %(name)s::text, version = version + 1
WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id
"""
LOCK_GROUP = "SELECT version FROM location_group WHERE code = %(code)s::text FOR NO KEY UPDATE"
# Members are replaced as a whole.
CLEAR_MEMBERS = "DELETE FROM location_group_member WHERE group_id = %(group)s::int"
ADD_MEMBERS = """
INSERT INTO location_group_member (group_id, location_id)
SELECT %(group)s::int, id FROM location WHERE code = ANY (%(codes)s::text[]) ORDER BY id
"""

DELETE_GROUP = """
DELETE FROM location_group WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id
"""
CLEAR_MEMBERS_OF = """
DELETE FROM location_group_member m USING location_group g WHERE g.id = m.group_id AND g.code = %(code)s::text
"""

SET_OWNER = """
UPDATE location SET owner_id = %(owner)s::int, version = version + 1 WHERE code = %(code)s::text
"""
CLEAR_CHANNEL_OWNERS = """
DELETE FROM channel_owner x USING channel c WHERE c.id = x.channel_id AND c.code = %(code)s::text
"""
ADD_CHANNEL_OWNERS = """
INSERT INTO channel_owner (channel_id, legal_entity_id)
SELECT c.id, l.id FROM channel c, legal_entity l
WHERE c.code = %(code)s::text AND l.cnpj_root = ANY (%(roots)s::text[]) ORDER BY l.id
"""
MOVE_CHANNEL = "UPDATE channel SET version = version + 1 WHERE code = %(code)s::text"
