-- A count of a site: one shelf, one number per SKU, the variance divided between the owners of the goods there.
ALTER TABLE count_task ADD COLUMN whole_site boolean NOT NULL DEFAULT false;
