"""Every GraphQL operation that is sent to Shopify, by name; tests hold each against Shopify's own schema.

What a query asks for is counted by Shopify before it runs, in points: so lists within lists are short, and what does
not fit is asked for apart.
"""

from collections.abc import Mapping

# Pinned here and nowhere else. Shopify keeps a version for a year; each of these takes every operation below.
VERSION = "2026-10"
SUPPORTED = ("2026-04", "2026-07", "2026-10")

LINES = 20  # lines of an order that come with it; the others are asked for apart
PAYMENTS = 15  # transactions of an order, likewise
PICTURES = 10  # of a product; the rest of those with more is asked for by itself
VARIANTS = 30  # variants of a product, likewise

_MONEY = "{ shopMoney { amount currencyCode } }"

_LINE = f"""
fragment ALine on LineItem {{
  id sku name quantity currentQuantity isGiftCard requiresShipping
  variant {{ legacyResourceId barcode }}
  originalUnitPriceSet {_MONEY}
  discountAllocations {{ allocatedAmountSet {_MONEY} }}
  taxLines {{ priceSet {_MONEY} }}
  customAttributes {{ key value }}
}}
"""

_PAYMENT = f"""
fragment APayment on OrderTransaction {{
  id kind status gateway processedAt authorizationExpiresAt amountSet {_MONEY} parentTransaction {{ id }}
}}
"""

_ORDER = (
    f"""
fragment AnOrder on Order {{
  id legacyResourceId name createdAt updatedAt cancelledAt edited test sourceName currencyCode taxesIncluded
  displayFinancialStatus displayFulfillmentStatus email phone paymentGatewayNames
  totalPriceSet {_MONEY}
  totalOutstandingSet {_MONEY}
  totalTipReceivedSet {_MONEY}
  originalTotalDutiesSet {_MONEY}
  originalTotalAdditionalFeesSet {_MONEY}
  note
  customAttributes {{ key value }}
  localizedFields(first: 5) {{ nodes {{ key value }} }}
  shippingAddress {{
    name company phone address1 address2 city provinceCode zip countryCodeV2
  }}
  billingAddress {{ name company phone }}
  shippingLines(first: 5) {{
    nodes {{ code title discountedPriceSet {_MONEY} taxLines {{ priceSet {_MONEY} }} }}
  }}
  lineItems(first: {LINES}) {{ nodes {{ ...ALine }} pageInfo {{ hasNextPage endCursor }} }}
  transactions(first: {PAYMENTS}) {{ ...APayment }}
  refunds(first: 10) {{ id }}
  transactionsCount {{ count }}
  fulfillmentsCount {{ count }}
  fulfillmentOrders(first: 5) {{
    nodes {{ deliveryMethod {{ methodType }} assignedLocation {{ location {{ legacyResourceId }} }} }}
  }}
}}
"""
    + _LINE
    + _PAYMENT
)

_WORK = """
fragment Work on FulfillmentOrder {
  id status requestStatus
  supportedActions { action }
  assignedLocation { location { id name } }
  lineItems(first: 40) { nodes { id remainingQuantity sku lineItem { id } } pageInfo { hasNextPage endCursor } }
}
"""

OPERATIONS: Mapping[str, str] = {
    "check": """
query Check {
  shop { name myshopifyDomain currencyCode ianaTimezone }
  locations(first: 50) { nodes { legacyResourceId name } }
  currentAppInstallation { accessScopes { handle } }
}
""",
    # Cheap, because what was read shortly before is read again; what is new of it is asked for apart, whole.
    "list_orders": """
query ListOrders($first: Int!, $after: String, $query: String!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes {
      id legacyResourceId updatedAt cancelledAt edited test sourceName
      transactionsCount { count } fulfillmentsCount { count }
    }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    "read_orders": "query ReadOrders($ids: [ID!]!) { nodes(ids: $ids) { ... on Order { ...AnOrder } } }" + _ORDER,
    "get_order": "query GetOrder($id: ID!) { order(id: $id) { ...AnOrder } }" + _ORDER,
    "more_lines": """
query MoreLines($id: ID!, $after: String!) {
  order(id: $id) { lineItems(first: 50, after: $after) { nodes { ...ALine } pageInfo { hasNextPage endCursor } } }
}
"""
    + _LINE,
    "more_payments": "query MorePayments($id: ID!) { order(id: $id) { transactions(first: 200) { ...APayment } } }"
    + _PAYMENT,
    # Units that were paid back are still part of what was ordered; those that an edit took out are not.
    "returns": "query Returns($id: ID!) { order(id: $id) { refunds(first: 250) { id } } }",
    # Asked for where a refund does not say whether its units had left.
    "whereabouts": """
query Whereabouts($id: ID!) { order(id: $id) { fulfillments(first: 250) { id status } } }
""",
    "returned": """
query Returned($id: ID!, $after: String) {
  refund(id: $id) {
    refundLineItems(first: 100, after: $after) {
      nodes { quantity restockType lineItem { id } } pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    "summarise": f"""
query Summarise($after: String, $query: String!) {{
  orders(first: 100, after: $after, query: $query, sortKey: CREATED_AT) {{
    nodes {{
      id legacyResourceId createdAt cancelledAt test sourceName currentTotalPriceSet {_MONEY} refunds(first: 1) {{ id }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
""",
    "pull_products": f"""
query PullProducts($first: Int!, $after: String, $query: String!) {{
  products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      id legacyResourceId handle title descriptionHtml vendor productType status updatedAt
      category {{ fullName }}
      media(first: {PICTURES}) {{
        nodes {{ ... on MediaImage {{ image {{ url }} }} }} pageInfo {{ hasNextPage endCursor }}
      }}
      variants(first: {VARIANTS}) {{ nodes {{ ...AVariant }} pageInfo {{ hasNextPage endCursor }} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
fragment AVariant on ProductVariant {{
  legacyResourceId sku barcode price title selectedOptions {{ name value }}
  inventoryItem {{ measurement {{ weight {{ value unit }} }} }}
}}
""",
    "more_variants": """
query MoreVariants($id: ID!, $after: String!) {
  product(id: $id) {
    variants(first: 100, after: $after) {
      nodes {
        legacyResourceId sku barcode price title selectedOptions { name value }
        inventoryItem { measurement { weight { value unit } } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    "more_pictures": """
query MorePictures($id: ID!, $after: String!) {
  product(id: $id) {
    media(first: 100, after: $after) {
      nodes { ... on MediaImage { image { url } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    "find_variants": """
query FindVariants($first: Int!, $after: String, $query: String!) {
  productVariants(first: $first, after: $after, query: $query) {
    nodes { id sku product { id } }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    "find_listings": """
query FindListings($first: Int!, $after: String, $query: String!) {
  productVariants(first: $first, after: $after, query: $query) {
    nodes {
      id sku
      product { id variantsCount { count } tags metafield(namespace: "malha", key: "listing") { value } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    "find_stock": """
query FindStock($first: Int!, $after: String, $query: String!, $location: ID!) {
  productVariants(first: $first, after: $after, query: $query) {
    nodes {
      id sku
      inventoryItem {
        id tracked
        inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    "pull_stock": """
query PullStock($id: ID!, $first: Int!, $after: String) {
  location(id: $id) {
    inventoryLevels(first: $first, after: $after) {
      nodes {
        updatedAt item { sku tracked duplicateSkuCount }
        quantities(names: ["available", "on_hand"]) { name quantity }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    # An absolute quantity, and what it is thought to be now: if that is wrong, nothing is set.
    "set_stock": """
mutation SetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}
""",
    "set_prices": """
mutation SetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: true) {
    productVariants { id }
    userErrors { code field message }
  }
}
""",
    "set_fixed_prices": """
mutation SetFixedPrices($list: ID!, $prices: [PriceListPriceInput!]!) {
  priceListFixedPricesAdd(priceListId: $list, prices: $prices) {
    prices { variant { id } }
    userErrors { code field message }
  }
}
""",
    "find_product": """
query FindProduct($handle: String!) {
  productByIdentifier(identifier: { handle: $handle }) {
    id variantsCount { count } tags metafield(namespace: "malha", key: "listing") { value }
    variants(first: 2) { nodes { id sku } }
  }
}
""",
    # What it does not name of a list, as variants, it removes: only said of a product that is new.
    "set_product": """
mutation SetProduct($handle: String!, $input: ProductSetInput!) {
  productSet(identifier: { handle: $handle }, input: $input, synchronous: true) {
    product { id }
    userErrors { code field message }
  }
}
""",
    "update_product": """
mutation UpdateProduct($product: ProductUpdateInput!, $media: [CreateMediaInput!]) {
  productUpdate(product: $product, media: $media) { product { id } userErrors { field message } }
}
""",
    "pictures": """
query Pictures($id: ID!, $first: Int!) {
  product(id: $id) { media(first: $first) { nodes { id status alt } } }
}
""",
    # Off this product alone: the files stay the shop's, who may use them elsewhere.
    "take_off_pictures": """
mutation TakeOffPictures($files: [FileUpdateInput!]!) {
  fileUpdate(files: $files) { files { id } userErrors { code field message } }
}
""",
    # Those that could never be shown: such a file cannot be changed.
    "drop_pictures": """
mutation DropPictures($ids: [ID!]!) {
  fileDelete(fileIds: $ids) { deletedFileIds userErrors { code field message } }
}
""",
    "fulfillments": """
query Fulfillments($id: ID!) {
  order(id: $id) { fulfillments(first: 100) { id status trackingInfo(first: 5) { number } } }
}
""",
    "sent": """
query Sent($id: ID!, $after: String) {
  fulfillment(id: $id) {
    fulfillmentLineItems(first: 100, after: $after) {
      nodes { quantity lineItem { id sku } } pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    "work": """
query Work($id: ID!, $after: String) {
  order(id: $id) {
    fulfillmentOrders(first: 5, after: $after) { nodes { ...Work } pageInfo { hasNextPage endCursor } }
  }
}
"""
    + _WORK,
    "more_work": """
query MoreWork($id: ID!, $after: String!) {
  fulfillmentOrder(id: $id) {
    lineItems(first: 100, after: $after) {
      nodes { id remainingQuantity sku lineItem { id } } pageInfo { hasNextPage endCursor }
    }
  }
}
""",
    "lines": """
query Lines($id: ID!, $after: String) {
  order(id: $id) { lineItems(first: 100, after: $after) { nodes { id sku } pageInfo { hasNextPage endCursor } } }
}
""",
    "move": """
mutation Move($id: ID!, $location: ID!, $lines: [FulfillmentOrderLineItemInput!]) {
  fulfillmentOrderMove(id: $id, newLocationId: $location, fulfillmentOrderLineItems: $lines) {
    movedFulfillmentOrder { ...Work }
    userErrors { code field message }
  }
}
"""
    + _WORK,
    "ship": """
mutation Ship($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id status } userErrors { field message } }
}
""",
    # What is cancelled and paid back bears our key where people may read it, so that it is found again.
    "marks": """
query Marks($id: ID!) {
  order(id: $id) {
    id cancelledAt cancellation { staffNote }
    refunds(first: 100) { id note }
  }
}
""",
    "cancel": """
mutation Cancel($order: ID!, $reason: OrderCancelReason!, $note: String!, $notify: Boolean!) {
  orderCancel(
    orderId: $order, reason: $reason, restock: true, staffNote: $note, notifyCustomer: $notify
    refundMethod: { originalPaymentMethodsRefund: false }
  ) {
    job { id done }
    orderCancelUserErrors { code field message }
  }
}
""",
    "job": "query Job($id: ID!) { job(id: $id) { id done } }",
    "payments": """
query Payments($id: ID!) {
  order(id: $id) {
    currencyCode presentmentCurrencyCode
    transactions(first: 100) {
      id kind status gateway amountSet { shopMoney { amount currencyCode } } parentTransaction { id }
    }
  }
}
""",
    "refund": """
mutation Refund($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id }
    userErrors { field message }
  }
}
""",
}
