//! Token formats of monitoring, analytics and incident response.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::checksum::{grafana, grafana_legacy};
use super::{Entry, entry as t, whole};

/// One line an entry.
#[rustfmt::skip] // one line an entry
pub(super) const ENTRIES: &[Entry] = &[
    t("grafana-service-account", "Grafana", "service account token", &["glsa_"], r"glsa_[[:alnum:]]{32}_[[:xdigit:]]{8}").check(grafana),
    t("grafana-cloud", "Grafana Cloud", "API token", &["glc_"], r"glc_[[:alnum:]+/_-]{32,400}={0,3}").max(410),
    t("grafana-legacy", "Grafana", "API key", &["eyJrIjoi"], r"eyJrIjoi[[:alnum:]+/_-]{60,400}={0,3}").max(420).parse(grafana_legacy),
    t("new-relic-user", "New Relic", "user key", &["NRAK-"], r"NRAK-[A-Z0-9]{27}"),
    t("new-relic-insert", "New Relic", "insert key", &["NRII-", "NRIQ-"], r"NRI[IQ]-[\w-]{32}"),
    t("new-relic-admin", "New Relic", "admin key", &["NRAA-"], r"NRAA-[0-9a-f]{27}"),
    t("new-relic-rest", "New Relic", "REST API key", &["NRRA-"], r"NRRA-[0-9a-f]{42}"),
    t("new-relic-license", "New Relic", "licence key", &["NRAL"], r"(?:[a-z]{2}\d{2}x{1,2})?[0-9a-f]{30,36}NRAL").back(42),
    t("new-relic-browser", "New Relic", "browser key", &["NRJS-"], r"NRJS-[0-9a-f]{19}"),
    t("pixie", "Pixie", "deploy or API key", &["px-dep-", "px-api-"], r"px-(?:dep|api)-UUID"),
    t("dynatrace", "Dynatrace", "token", &["dt0c01.", "dt0s01.", "dt0s02."], r"(?i)dt0[cs]0\d\.[a-z0-9]{24}\.[a-z0-9]{64}"),
    t("sentry-org", "Sentry", "organisation token", &["sntrys_"], r"sntrys_eyJ[[:alnum:]+/]{60,500}={0,2}_[[:alnum:]+/]{43}").max(560),
    t("sentry-user", "Sentry", "user token", &["sntryu_"], r"sntryu_[0-9a-f]{64}"),
    t("posthog-personal", "PostHog", "personal API key", &["phx_"], r"phx_[\w-]{43,64}"),
    t("posthog-feature", "PostHog", "feature flag key", &["phs_"], r"phs_[\w-]{40,64}"),
    t("elastic-cloud", "Elastic Cloud", "API key", &["essu_"], r"essu_[\w+/-]{60,200}={0,2}").max(220).whole(whole::elastic_cloud),
    t("honeycomb", "Honeycomb", "ingest key", &["hcaik_", "hcbik_", "hccik_"], r"hc[a-z]i[ck]_[[:alnum:]]{58}"),
    t("axiom", "Axiom", "API token", &["xaat-", "xapt-"], r"xa[ap]t-UUID"),
    t("checkly", "Checkly", "API key", &["cu_"], r"cu_[0-9a-f]{32}"),
    t("adafruit", "Adafruit IO", "key", &["aio_"], r"aio_[[:alnum:]]{28}"),
    t("coralogix", "Coralogix", "API key", &["cxtp_", "cxup_"], r"cx[tu]p_[[:alnum:]]{30}"),
    t("dependency-track", "Dependency-Track", "API key", &["odt_"], r"odt_(?:[[:alnum:]]{8}_)?[[:alnum:]]{32,36}"),
    t("segment", "Segment", "API token", &["sgp_"], r"sgp_[[:alnum:]]{64}"),
    t("rootly", "Rootly", "API key", &["rootly_"], r"rootly_[0-9a-f]{64}"),
    t("firehydrant", "FireHydrant", "API key", &["fhb-"], r"fhb-[0-9a-f]{32}"),
    t("ubidots", "Ubidots", "API key", &["BBFF-", "BBUS-"], r"BB(?:FF|US)-[[:alnum:]]{30,60}"),
    t("fullstory", "FullStory", "API key", &["na1.", "eu1."], r"(?:na|eu)1\.[[:alnum:]+/=]{60,100}"),
    t("wakatime", "WakaTime", "API key", &["waka_"], r"waka_UUID"),
];
