-- Groups of locations, and whose goods a location keeps: what a channel may sell follows the owner.

CREATE TABLE location_group (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    version integer NOT NULL DEFAULT 1
);
CREATE TABLE location_group_member (
    group_id integer NOT NULL REFERENCES location_group,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (group_id, location_id)
);
CREATE INDEX location_group_member_location ON location_group_member (location_id);

-- Whose the goods at a location are; null: its establishment's. All of a location's goods have one owner.
ALTER TABLE location ADD COLUMN owner_id integer REFERENCES establishment;
CREATE INDEX location_owner ON location (owner_id) WHERE owner_id IS NOT NULL;

-- Companies whose goods a channel may sell; a channel without rows sells anybody's.
CREATE TABLE channel_owner (
    channel_id integer NOT NULL REFERENCES channel,
    legal_entity_id integer NOT NULL REFERENCES legal_entity,
    PRIMARY KEY (channel_id, legal_entity_id)
);
