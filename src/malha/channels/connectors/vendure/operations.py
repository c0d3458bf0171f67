"""What Vendure is asked and told, in GraphQL."""

ORDER = """
fragment AnOrder on Order {
  id code state updatedAt orderPlacedAt currencyCode subTotalWithTax shippingWithTax totalWithTax
  customer { firstName lastName emailAddress phoneNumber }
  shippingAddress { fullName streetLine1 streetLine2 city province postalCode countryCode phoneNumber }
  shippingLines { shippingMethod { code } }
  lines {
    id quantity orderPlacedQuantity unitPriceWithTax proratedLinePriceWithTax
    productVariant { id sku name }
  }
  payments { id method amount state createdAt refunds { id state total reason updatedAt } }
}
"""
ORDERS = "query ($options: OrderListOptions) { orders(options: $options) { totalItems items { ...AnOrder } } }" + ORDER
ONE_ORDER = "query ($id: ID!) { order(id: $id) { ...AnOrder } }" + ORDER
SUMS = """
query ($options: OrderListOptions) { orders(options: $options) {
    totalItems items { id state totalWithTax payments { refunds { state total } } }
  }
}
"""
PRODUCTS = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) {
    totalItems
    items {
      id sku name priceWithTax enabled updatedAt
      options { id name group { id name } }
      product {
        id name slug description enabled
        featuredAsset { id type source }
        assets { id type source }
        facetValues { id name facet { id name isPrivate } }
        collections { id isPrivate breadcrumbs { id name } }
      }
    }
  }
}
"""
STOCK = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id sku stockLevels { stockLocationId stockAllocated } } }
}
"""
LEVELS = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) {
    totalItems items { id sku trackInventory stockLevels { stockLocationId stockOnHand stockAllocated } }
  }
}
"""
UPDATE_VARIANTS = """
mutation ($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id } }
"""
CHECK = """
query { activeChannel { code defaultCurrencyCode pricesIncludeTax } stockLocations { items { id name } } }
"""
FULFILLMENTS = """
query ($id: ID!) {
  order(id: $id) {
    lines { id quantity productVariant { sku } }
    fulfillments { id state method trackingCode }
  }
}
"""
FULFILL = """
mutation ($input: FulfillOrderInput!) {
  addFulfillmentToOrder(input: $input) {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message }
  }
}
"""
TRANSITION = """
mutation ($id: ID!, $state: String!) {
  transitionFulfillmentToState(id: $id, state: $state) {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message }
  }
}
"""
CANCEL = """
mutation ($input: CancelOrderInput!) {
  cancelOrder(input: $input) { __typename ... on Order { id } ... on ErrorResult { errorCode message } }
}
"""
REFUND = """
mutation ($input: RefundOrderInput!) {
  refundOrder(input: $input) { __typename ... on Refund { id state } ... on ErrorResult { errorCode message } }
}
"""
MARKS = """
query ($id: ID!) {
  order(id: $id) {
    history(options: { take: 100, sort: { createdAt: DESC } }) { items { id type data } }
    payments { refunds { id reason } }
  }
}
"""
# Listings.
LANGUAGE = "query { activeChannel { defaultLanguageCode } }"
FIND_VARIANTS = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id sku product { id } } }
}
"""
FIND_PRODUCT = """
query ($options: ProductListOptions) {
  products(options: $options) {
    items { id optionGroups { id code name options { id code name } } }
  }
}
"""
UPDATE_PRODUCTS = "mutation ($input: [UpdateProductInput!]!) { updateProducts(input: $input) { id } }"
CREATE_PRODUCT = "mutation ($input: CreateProductInput!) { createProduct(input: $input) { id } }"
CREATE_VARIANTS = """
mutation ($input: [CreateProductVariantInput!]!) { createProductVariants(input: $input) { id } }
"""
CREATE_GROUP = """
mutation ($input: CreateProductOptionGroupInput!) {
  createProductOptionGroup(input: $input) { id options { id code name } }
}
"""
ADD_GROUP = """
mutation ($product: ID!, $group: ID!) { addOptionGroupToProduct(productId: $product, optionGroupId: $group) { id } }
"""
CREATE_OPTION = "mutation ($input: CreateProductOptionInput!) { createProductOption(input: $input) { id } }"
