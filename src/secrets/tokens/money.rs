//! Token formats of payments, commerce and logistics.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::{Entry, entry as t};

/// One line an entry.
#[rustfmt::skip] // one line an entry
pub(super) const ENTRIES: &[Entry] = &[
    t("stripe", "Stripe", "secret key", &["sk_live_", "rk_live_", "sk_test_", "rk_test_", "sk_prod_", "rk_prod_"], r"[sr]k_(?:live|test|prod)_[[:alnum:]]{10,128}"),
    t("stripe-webhook", "Stripe", "webhook signing secret", &["whsec_"], r"whsec_[[:alnum:]+/=]{24,80}"),
    t("square-access", "Square", "access token", &["EAAA", "sq0atp-"], r"EAAA[\w+=-]{22,60}|sq0atp-[\w-]{22,60}"),
    t("square-secret", "Square", "OAuth secret", &["sq0csp-"], r"sq0csp-[\w\\/-]{43}"),
    t("shopify", "Shopify", "access token or secret", &["shpat_", "shpca_", "shppa_", "shpss_"], r"shp(?:at|ca|pa|ss)_[[:xdigit:]]{32}"),
    t("shopify-2", "Shopify", "CLI or partner token", &["atkn_", "prtapi_"], r"(?:atkn|prtapi)_[[:xdigit:]]{32,64}"),
    t("braintree", "Braintree", "access token", &["access_token$"], r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[0-9a-f]{32}"),
    t("flutterwave", "Flutterwave", "secret key", &["FLWSECK"], r"FLWSECK(?:_TEST)?-(?:[[:xdigit:]]{32}-X|[[:xdigit:]]{12})"),
    t("flutterwave-public", "Flutterwave", "public key", &["FLWPUBK"], r"FLWPUBK(?:_TEST)?-[[:xdigit:]]{32}-X"),
    t("easypost", "EasyPost", "API key", &["EZAK", "EZTK"], r"EZ[AT]K[[:alnum:]]{54}"),
    t("duffel", "Duffel", "access token", &["duffel_live_", "duffel_test_"], r"duffel_(?:live|test)_[\w=-]{43}"),
    t("shippo", "Shippo", "API token", &["shippo_live_", "shippo_test_"], r"shippo_(?:live|test)_[[:xdigit:]]{40}"),
    t("asaas", "Asaas", "API key", &["$aact_"], r"\$aact_(?:(?:prod|hmlg)_)?[[:alnum:]+/=:]{30,200}"),
    t("paddle", "Paddle", "API key", &["pdl_live_apikey_", "pdl_sdbx_apikey_"], r"pdl_(?:live|sdbx)_apikey_[a-z0-9]{26}_[[:alnum:]]{22}_[[:alnum:]]{3}"),
    t("paddle-webhook", "Paddle", "notification secret", &["pdl_ntfset_"], r"pdl_ntfset_[a-z0-9]{26}_[[:alnum:]+/]{32}"),
    t("ramp", "Ramp", "client secret", &["ramp_sec_"], r"ramp_sec_[[:alnum:]]{48}"),
    t("mercury", "Mercury", "API token", &["mercury_production_", "mercury_sandbox_"], r"mercury_(?:production|sandbox)_[a-z]{3,4}_[[:alnum:]]{40,60}(?:_yrucrem)?"),
    t("razorpay", "Razorpay", "API key", &["rzp_live_", "rzp_test_"], r"rzp_(?:live|test)_[[:alnum:]]{14}"),
    t("checkout", "Checkout.com", "secret key", &["sk_"], r"sk_(?:(?:test|sbox)_)?UUID"),
    t("xendit", "Xendit", "secret key", &["xnd_"], r"xnd_(?:production|development)_[[:alnum:]]{40,70}"),
    t("midtrans", "Midtrans", "server key", &["Mid-server-"], r"(?:SB-)?Mid-server-[\w-]{24}").back(3),
    t("omise", "Omise", "secret key", &["skey_"], r"skey_(?:test_)?[a-z0-9]{19}"),
    t("mercadopago", "Mercado Pago", "access token", &["APP_USR-"], r"APP_USR-\d{12,18}-\d{6}-[0-9a-f]{32}-\d{5,12}"),
    t("pagarme", "Pagar.me", "API key", &["ak_live_", "ak_test_"], r"ak_(?:live|test)_[[:alnum:]]{30}"),
    t("polar", "Polar", "access token", &["polar_"], r"polar_(?:oat|pat|at|rt|cs|ci)_[\w-]{40,48}"),
    t("circle", "Circle", "API key", &["_API_KEY:"], r"(?:LIVE|TEST)_API_KEY:[0-9a-f]{32}:[0-9a-f]{32}").back(4),
    t("plaid-access", "Plaid", "access token", &["access-sandbox-", "access-production-", "access-development-"], r"access-(?:sandbox|production|development)-UUID"),
    t("lob", "Lob", "API key", &["live_", "test_"], r"(?:live|test)_[0-9a-f]{35}"),
    t("mollie", "Mollie", "API key", &["live_", "test_"], r"(?:live|test)_[[:alnum:]]{30}").strict(),
    t("gocardless", "GoCardless", "access token", &["live_", "sandbox_"], r"(?:live|sandbox)_[\w=-]{40}").strict(),
    t("chargebee", "Chargebee", "API key", &["live_", "test_"], r"(?:live|test)_(?:cu)?[[:alnum:]]{31,36}").strict(),
    t("persona", "Persona", "API key", &["persona_production_", "persona_sandbox_"], r"persona_(?:production|sandbox)_[0-9a-f-]{36}"),
    t("onfido", "Onfido", "API token", &["api_live", "api_sandbox"], r"api_(?:live|sandbox)(?:_(?:us|ca))?\.[\w-]{10,12}\.?[\w-]{20,32}"),
    t("flexport", "Flexport", "API key", &["shltm_"], r"shltm_[\w-]{40}"),
    t("fleetbase", "Fleetbase", "API key", &["flb_live_", "flb_test_"], r"flb_(?:live|test)_[[:alnum:]]{20}"),
    t("svix", "Svix", "API token", &["testsk_", "sk_"], r"(?:test)?sk_[[:alnum:]]{32}\.(?:eu|us|in|ca|au)"),
];
