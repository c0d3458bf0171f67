-- Drafts of the costs that routing compares: tried on past orders and beside live ones, put into force, and taken back.
CREATE TABLE routing_cost_draft (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    note text NOT NULL DEFAULT '',                -- why it was made
    content jsonb NOT NULL,                       -- routing.cost_draft_model.Drafted
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    promoted_at timestamptz,                      -- since when it is in force; its content never changes after that
    promoted_by text,
    before jsonb,                                 -- routing.cost_draft_model.Standing: what it replaced
    taken_back_at timestamptz,
    taken_back_by text,
    CHECK ((promoted_at IS NULL) = (before IS NULL)),
    CHECK (taken_back_at IS NULL OR promoted_at IS NOT NULL)
);

-- Which costs decide on paper, as they were when it began.
ALTER TABLE simulation
    ADD COLUMN costs jsonb,                       -- simulation.model.CostsTried; NULL: those that decided then
    ADD COLUMN cost_content jsonb;                -- routing.cost_draft_model.Drafted
ALTER TABLE shadow
    ADD COLUMN costs jsonb,
    ADD COLUMN cost_content jsonb;
