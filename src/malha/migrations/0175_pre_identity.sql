-- Who answers for a key in the place of who made it, once that person is gone: "person:" and an id. Null: its maker.
ALTER TABLE api_key ADD COLUMN kept_by text;
