-- Whether a person lifted a hold that otherwise only its cause lifts. A payment hold that was overridden is not placed
-- again for the same money; what was overridden before this is asked again once.
ALTER TABLE order_hold ADD COLUMN forced boolean NOT NULL DEFAULT false;
