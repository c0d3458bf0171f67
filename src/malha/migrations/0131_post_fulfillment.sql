-- Whether a promise was kept is asked by the end of its day where it was made; by the instant it is stored as, what
-- came in the evening of the day was late. A catalogue change only.
ALTER TABLE promise_outcome DROP COLUMN kept;
