-- What people keep for themselves: how pages look to them, views of lists, what they chose last.

ALTER TABLE person ADD COLUMN theme text CHECK (theme IN ('light', 'dark'));   -- null: what the browser last showed

CREATE TABLE saved_view (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person,    -- whose it is: they alone change it
    list text NOT NULL,                           -- the list it narrows, by its name in console/views.py
    name text NOT NULL,
    query text NOT NULL,                          -- the list's address after the question mark
    role text,                                    -- everyone of this role sees it too; null: nobody else
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (person_id, list, name)
);
CREATE INDEX saved_view_role ON saved_view (role, list) WHERE role IS NOT NULL;

-- The view in which a list opens for a person. It goes when the view goes.
CREATE TABLE default_view (
    person_id uuid NOT NULL REFERENCES person,
    list text NOT NULL,
    view_id integer NOT NULL REFERENCES saved_view ON DELETE CASCADE,
    PRIMARY KEY (person_id, list)
);
CREATE INDEX default_view_view ON default_view (view_id);

-- What a person chose in the command bar: keys of records, never their names. A handful per person.
CREATE TABLE recent_choice (
    person_id uuid NOT NULL REFERENCES person,
    kind text NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, kind, key)
);
