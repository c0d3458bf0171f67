// A Vendure shop for tests: one process, on PostgreSQL, bound to this machine. It says "ready" once it answers.
const {
  BcryptPasswordHashingStrategy,
  DefaultLogger,
  LogLevel,
  RandomBytesApiKeyStrategy,
  bootstrap,
  dummyPaymentHandler,
  manualFulfillmentHandler,
} = require("@vendure/core");

const { PORT, PEER_HOST, PEER_PORT, PEER_USER, PEER_PASSWORD, PEER_DATABASE } = process.env;

// A key is checked at each request, which takes a quarter of a second of the processor as Vendure hashes by default.
class CheapHashing extends BcryptPasswordHashingStrategy {
  hash(plaintext) {
    this.getBcrypt();
    return this.bcrypt.hash(plaintext, 4);
  }
}

bootstrap({
  apiOptions: { hostname: "127.0.0.1", port: Number(PORT), adminApiPath: "admin-api", shopApiPath: "shop-api", cors: false },
  authOptions: {
    tokenMethod: ["bearer", "api-key"],
    superadminCredentials: { identifier: "owner", password: "of-a-test-only" },
    cookieOptions: { secret: "of-a-test" },
    passwordHashingStrategy: new CheapHashing(),
    adminApiKeyStrategy: new RandomBytesApiKeyStrategy({ hashingStrategy: new CheapHashing() }),
  },
  dbConnectionOptions: {
    type: "postgres",
    host: PEER_HOST,
    port: Number(PEER_PORT),
    username: PEER_USER,
    password: PEER_PASSWORD,
    database: PEER_DATABASE,
    synchronize: true,
  },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  shippingOptions: { fulfillmentHandlers: [manualFulfillmentHandler] },
  logger: new DefaultLogger({ level: LogLevel.Warn }),
  // Pictures lie elsewhere: their addresses are kept as they are.
  assetOptions: { assetStorageStrategy: { toAbsoluteUrl: (_request, address) => address } },
  plugins: [],
}).then(() => console.log("ready"), (error) => {
  console.error(error);
  process.exit(1);
});
