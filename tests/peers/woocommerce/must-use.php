<?php
// What a shop on the loopback needs: calls to itself and to odd ports, none outside, and its queue at once.
add_filter( 'http_request_host_is_external', '__return_true' );
add_filter( 'http_allowed_safe_ports', fn ( $ports ) => array_merge( $ports, array( (int) getenv( 'SHOP_HOOK_PORT' ) ) ) );
add_filter( 'woocommerce_allow_marketplace_suggestions', '__return_false' );
add_action(
	'rest_api_init',
	fn () => register_rest_route(
		'shop/v1',
		'/queue',
		array(
			'methods'             => 'POST',
			'permission_callback' => '__return_true',
			'callback'            => fn () => array( 'ran' => ActionScheduler::runner()->run() ),
		)
	)
);
// A status of its own, as many shops have.
add_action( 'init', fn () => register_post_status( 'wc-levitating', array( 'label' => 'Levitating', 'public' => true ) ) );
add_filter( 'wc_order_statuses', fn ( $known ) => $known + array( 'wc-levitating' => 'Levitating' ) );
// A plug-in that refuses some products for good, as many do.
add_filter(
	'woocommerce_rest_pre_insert_product_object',
	fn ( $product ) => str_ends_with( $product->get_sku(), '-BAD' )
		? new WP_Error( 'woocommerce_rest_cannot_edit', 'It is not wanted here.', array( 'status' => 400 ) )
		: $product
);
