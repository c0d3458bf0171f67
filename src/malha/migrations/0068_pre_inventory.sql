-- A freeze of a zone: of a location only what its count counts stands still, and the rest goes on selling.
ALTER TABLE count_task ADD COLUMN zone_frozen boolean NOT NULL DEFAULT false;
ALTER TABLE count_task ADD CONSTRAINT count_task_one_freeze CHECK (NOT (frozen AND zone_frozen)) NOT VALID;
ALTER TABLE count_task VALIDATE CONSTRAINT count_task_one_freeze;
ALTER TABLE count_task ADD CONSTRAINT count_task_thawed
    CHECK (NOT zone_frozen OR state IN ('open', 'applying')) NOT VALID;
ALTER TABLE count_task VALIDATE CONSTRAINT count_task_thawed;
-- What shipping and intake look at: few or none.
CREATE INDEX count_task_zone_frozen ON count_task (location_id) WHERE zone_frozen;
