-- A location at the site of another one: the same shelf, people and hours, the goods of another owner.

ALTER TABLE location ADD COLUMN site_id integer REFERENCES location;
ALTER TABLE location ADD CONSTRAINT location_site_check CHECK (site_id <> id);

-- One location for each owner at a site; by its first column, who else is there.
CREATE UNIQUE INDEX location_site ON location ((coalesce(site_id, id)), (coalesce(owner_id, establishment_id)));
