<?php
/**
 * Make the shop of a seller: WordPress with WooCommerce, prices in reais, one way to ship, two to pay, one key.
 * Prints the key as JSON. Run by tests/woocommerce_shop.py in a new database.
 */
$_SERVER['HTTP_HOST'] = getenv( 'SHOP_HOST' );
$_SERVER['REQUEST_URI'] = '/';
if ( 'install' === $argv[1] ) {
	define( 'WP_INSTALLING', true ); // no plug-ins yet
}
require getenv( 'SHOP_ROOT' ) . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

if ( 'install' === $argv[1] ) {
	wp_install( 'Loja', 'owner', 'owner@example.com', true, '', 'of-a-test-only' );
	update_option( 'permalink_structure', '/%postname%/' );
	update_option( 'timezone_string', 'America/Sao_Paulo' );
	update_option( 'active_plugins', array( 'woocommerce/woocommerce.php' ) );
	exit( 0 );
}

// With the plug-in loaded.
WC_Install::install();
foreach ( array(
	// Where a new shop keeps its orders; "posts" is where shops of before 8.2 may.
	'woocommerce_custom_orders_table_enabled' => 'posts' === getenv( 'SHOP_ORDERS' ) ? 'no' : 'yes',
	'woocommerce_currency'             => 'BRL',
	'woocommerce_price_num_decimals'   => '2',
	'woocommerce_default_country'      => 'BR:SP',
	'woocommerce_calc_taxes'           => 'no',
	'woocommerce_manage_stock'         => 'yes',
	'woocommerce_coming_soon'          => 'no',
	'woocommerce_task_list_hidden'     => 'yes',
	'woocommerce_onboarding_profile'   => array( 'skipped' => true ),
	// Brands: 9.4 has them in some shops, this one among them; from 9.6 all have.
	'woocommerce_remote_variant_assignment' => 1,
	'wc_feature_woocommerce_brands_enabled' => 'yes',
) as $name => $value ) {
	update_option( $name, $value );
}
$zone = new WC_Shipping_Zone( 0 );
$zone->add_shipping_method( 'flat_rate' );
foreach ( array( 'bacs', 'cod' ) as $gateway ) {
	update_option( "woocommerce_{$gateway}_settings", array( 'enabled' => 'yes', 'title' => $gateway ) );
}
global $wpdb;
$key    = 'ck_' . bin2hex( random_bytes( 20 ) );
$secret = 'cs_' . bin2hex( random_bytes( 20 ) );
$wpdb->insert(
	$wpdb->prefix . 'woocommerce_api_keys',
	array(
		'user_id'         => 1,
		'description'     => 'Malha',
		'permissions'     => 'read_write',
		'consumer_key'    => wc_api_hash( $key ),
		'consumer_secret' => $secret,
		'truncated_key'   => substr( $key, -7 ),
	)
);
flush_rewrite_rules();
echo wp_json_encode( array( 'consumer_key' => $key, 'consumer_secret' => $secret, 'version' => WC()->version, 'wordpress' => $GLOBALS['wp_version'] ) ), "\n";
