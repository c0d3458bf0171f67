"""Who owns which field of products, and which variants they tell of."""

# Eleven rows at most.
OWNERS = "SELECT field, owner, name FROM product_owner ORDER BY field"
# By primary key.
TOLD_AMONG = "SELECT variant_id, owner FROM variant_owner WHERE variant_id = ANY (%(ids)s::int[])"
