-- What is said of listings comes as a table, too.
ALTER TABLE import_run DROP CONSTRAINT import_run_kind_check;
ALTER TABLE import_run ADD CONSTRAINT import_run_kind_check
    CHECK (kind IN ('products', 'prices', 'stock', 'locations', 'customers', 'allotments', 'safety_rules',
                    'ahead_policies', 'listings')) NOT VALID;
ALTER TABLE import_run VALIDATE CONSTRAINT import_run_kind_check;
