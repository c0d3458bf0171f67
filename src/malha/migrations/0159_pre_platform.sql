-- What one import changed, and what its undo put back: the trail says it by the import's number and name.
CREATE INDEX audit_import ON audit (split_part(coalesce(after ->> 'import', after ->> 'undone_import'), ' ', 1), id DESC)
WHERE coalesce(after ->> 'import', after ->> 'undone_import') IS NOT NULL;
